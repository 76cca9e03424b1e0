// A progress bar for people: on a terminal only, so logs and pipes stay clean; or for who listens
// (host/base/listener.h), who may draw it elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "kernels/exec/not_copied.h"

namespace sllmr {

class Listener;

/// The text of a bar: "epoch 3/60  42 % |########            |  12.3 M triples/s  0:42 left  loss 0.31".
std::string progress_line(const std::string& description, std::int64_t done, std::int64_t total,
                          double seconds, const std::string& unit, const std::string& extra);

/// Seconds as "0:42" or "1:02:03".
std::string clock_time(double seconds);

/// While it lives, bars that are made begin with `title`: of a whole that they are parts of. One at a time.
class ProgressTitle : NotCopied {
 public:
  explicit ProgressTitle(std::string title);
  ~ProgressTitle();
};

/// Draws at most ten times a second, and clears its line at the end. One thread only.
class Progress : NotCopied {
 public:
  /// `unit` is a plural ("triples"), empty where a rate says nothing; `fd` is where to draw, standard error
  /// unless a test says otherwise.
  Progress(std::string description, std::int64_t total, std::string unit, int fd = 2);
  ~Progress() { finish(); }

  /// `done` of `total` units are done; `extra` goes to the end of the line.
  void update(std::int64_t done, const std::string& extra = {});
  /// Clears the line; the destructor does it too.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  void write(const std::string& text) const;

  std::string description_, unit_;
  std::int64_t total_;
  int fd_;
  Listener* hears_;  // instead of the terminal; or null
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point start_, last_draw_;
};

}  // namespace sllmr
