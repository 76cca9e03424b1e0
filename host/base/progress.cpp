#include "host/base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "host/base/listener.h"

namespace sllmr {
namespace {

constexpr int bar_width = 20;
constexpr std::size_t usual_columns = 80;
constexpr std::chrono::milliseconds draw_interval{100};
constexpr const char* clear_line = "\r\x1b[K";

// 12'345'678 -> "12.3 M ", ready for a unit.
std::string with_prefix(double value) {
  constexpr std::array<const char*, 4> prefixes{" ", " k ", " M ", " G "};
  std::size_t i = 0;
  for (; value >= 1000 && i + 1 < prefixes.size(); ++i) value /= 1000;
  return fmt::format("{:.{}f}{}", value, i == 0 ? 0 : 1, prefixes[i]);
}

// A line that wraps could not be cleared.
std::size_t columns(int fd) {
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : usual_columns;
}

std::string& title_of_bars() {
  static std::string title;
  return title;
}

}  // namespace

std::string clock_time(double seconds) {
  const std::int64_t whole = std::llround(seconds);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

ProgressTitle::ProgressTitle(std::string title) {
  title_of_bars() = std::move(title) + " | ";
}
ProgressTitle::~ProgressTitle() {
  title_of_bars().clear();
}

std::string progress_line(const std::string& description, std::int64_t done, std::int64_t total,
                          double seconds, const std::string& unit, const std::string& extra) {
  const double share =
      total > 0 ? std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0) : 1;
  const std::string bar(static_cast<std::size_t>(share * bar_width), '#');
  std::string line = fmt::format("{} {:3.0f} % |{:<{}}|", description, share * 100, bar, bar_width);
  if (done > 0 && seconds > 0 && !unit.empty()) {
    const double rate = static_cast<double>(done) / seconds;
    line += fmt::format("  {}{}/s  {} left", with_prefix(rate), unit,
                        clock_time(static_cast<double>(std::max<std::int64_t>(total - done, 0)) / rate));
  }
  return extra.empty() ? line : line + "  " + extra;
}

Progress::Progress(std::string description, std::int64_t total, std::string unit, int fd)
    : description_(title_of_bars() + std::move(description)),
      unit_(std::move(unit)),
      total_(total),
      fd_(fd),
      hears_(listener() != nullptr && listener()->takes_progress() ? listener() : nullptr),
      terminal_(hears_ == nullptr && ::isatty(fd) == 1),
      start_(Clock::now()),
      last_draw_(start_) {}

void Progress::update(std::int64_t done, const std::string& extra) {
  const auto now = Clock::now();
  if ((!terminal_ && hears_ == nullptr) || now - last_draw_ < draw_interval) return;
  last_draw_ = now;
  if (hears_ != nullptr) return hears_->progress(description_, done, total_, unit_);
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const std::string line = progress_line(description_, done, total_, seconds, unit_, extra);
  write(clear_line + line.substr(0, columns(fd_) - 1));
  drawn_ = true;
}

void Progress::finish() {
  if (std::exchange(drawn_, false)) write(clear_line);
}

void Progress::write(const std::string& text) const {
  // A bar that cannot be drawn is no reason to stop a run.
  [[maybe_unused]] const ssize_t written = ::write(fd_, text.data(), text.size());
}

}  // namespace sllmr
