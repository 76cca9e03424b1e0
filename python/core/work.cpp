#include "core/work.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>

#include "core/text.h"
#include "host/base/json_text.h"
#include "host/base/listener.h"
#include "kernels/exec/error.h"
#include "kernels/exec/interrupt.h"

namespace nb = nanobind;

namespace sllmr::python {
namespace {

using Progressed = std::tuple<std::string, std::int64_t, std::int64_t, std::string>;

struct Message {
  const char* kind;
  std::variant<std::string, Progressed> content;
};

/// What the working thread tells, until the other one asks.
class Mailbox : public Listener {
 public:
  explicit Mailbox(bool takes_progress) : takes_progress_(takes_progress) {}

  bool takes_progress() const override { return takes_progress_; }
  void progress(const std::string& what, std::int64_t done, std::int64_t total,
                const std::string& unit) override {
    put({"progress", Progressed(what, done, total, unit)});
  }
  void event(const nlohmann::json& event) override { put({"event", json_text(event)}); }
  void note(std::string_view line) override { put({"note", std::string(line)}); }

  void end(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
    ended_ = true;
    news_.notify_one();
  }
  /// Waits a little for messages, or for the end. True: the work has ended, and these are the last.
  bool take(std::deque<Message>& messages) {
    std::unique_lock lock(mutex_);
    news_.wait_for(lock, std::chrono::milliseconds(50), [&] { return ended_ || !messages_.empty(); });
    messages = std::exchange(messages_, {});
    return ended_;
  }
  const std::exception_ptr& error() const { return error_; }

 private:
  void put(Message message) {
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
    news_.notify_one();
  }

  const bool takes_progress_;
  std::mutex mutex_;
  std::condition_variable news_;
  std::deque<Message> messages_;
  bool ended_ = false;
  std::exception_ptr error_;
};

void tell(const nb::object& listener, const Message& message) {
  if (const auto* text = std::get_if<std::string>(&message.content); text != nullptr) {
    listener(message.kind, shown(*text));
    return;
  }
  const auto& [what, done, total, unit] = std::get<Progressed>(message.content);
  listener(message.kind, nb::make_tuple(shown(what), nb::int_(done), nb::int_(total), shown(unit)));
}

std::mutex& one_at_a_time() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

void run_work(const nb::object& listener, bool takes_progress, const std::function<void()>& work) {
  const std::unique_lock alone(one_at_a_time(), std::try_to_lock);
  require(alone.owns_lock(),
          "this process is training, comparing or evaluating already: wait for it, or use another process");
  StopByCall stop;
  Mailbox mailbox(takes_progress);
  std::optional<nb::python_error> raised;
  {
    const Listening listening(mailbox);
    std::thread worker([&] {
      try {
        work();
        mailbox.end(nullptr);
      } catch (...) {
        mailbox.end(std::current_exception());
      }
    });
    const auto call = [&](const auto& python) {
      if (raised) return;
      try {
        python();
      } catch (nb::python_error& error) {
        raised.emplace(std::move(error));
        stop.stop();
      }
    };
    for (bool ended = false; !ended;) {
      std::deque<Message> messages;
      {
        const nb::gil_scoped_release others;
        ended = mailbox.take(messages);
      }
      for (const Message& message : messages) call([&] { tell(listener, message); });
      call([] {
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
      });
    }
    const nb::gil_scoped_release others;
    worker.join();
  }
  if (raised) throw std::move(*raised);
  if (mailbox.error()) std::rethrow_exception(mailbox.error());
}

}  // namespace sllmr::python
