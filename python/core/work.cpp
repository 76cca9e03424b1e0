#include "core/work.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
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
#include "kernels/exec/not_copied.h"

namespace nb = nanobind;

namespace sllmr::python {
namespace {

using Progressed = std::tuple<std::string, std::int64_t, std::int64_t, std::string>;

struct Message {
  const char* kind;
  std::variant<std::string, Progressed> content;
};

/// Between the thread that works and the caller's.
class Mailbox : public Listener, public Caller {
 public:
  struct News {
    std::deque<Message> messages;
    const std::function<void()>* request = nullptr;  // that the work waits for
    bool ended = false;                              // nothing comes after these
  };

  explicit Mailbox(bool takes_progress) : takes_progress_(takes_progress) {}

  // For the thread that works.
  bool takes_progress() const override { return takes_progress_; }
  void progress(const std::string& what, std::int64_t done, std::int64_t total,
                const std::string& unit) override {
    put({"progress", Progressed(what, done, total, unit)});
  }
  void event(const nlohmann::json& event) override { put({"event", json_text(event)}); }
  void note(std::string_view line) override { put({"note", std::string(line)}); }
  void call(const std::function<void()>& python) override {
    std::unique_lock lock(mutex_);
    if (closed_) throw Interrupted();
    news_.request = &python;
    arrived_.notify_one();
    answered_.wait(lock, [&] { return news_.request == nullptr || closed_; });
    news_.request = nullptr;
    if (closed_) throw Interrupted();
    if (fault_) std::rethrow_exception(std::exchange(fault_, nullptr));
  }
  void end(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
    news_.ended = true;
    arrived_.notify_one();
  }

  // For the caller's.
  /// Waits a little for news.
  News take() {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, std::chrono::milliseconds(50),
                      [&] { return news_.ended || news_.request != nullptr || !news_.messages.empty(); });
    News news = news_;
    news_.messages.clear();
    return news;
  }
  void answer(std::exception_ptr fault) {
    const std::lock_guard lock(mutex_);
    fault_ = std::move(fault);
    news_.request = nullptr;
    answered_.notify_one();
  }
  /// Nobody answers any more.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    answered_.notify_one();
  }
  const std::exception_ptr& error() const { return error_; }

 private:
  void put(Message message) {
    const std::lock_guard lock(mutex_);
    news_.messages.push_back(std::move(message));
    arrived_.notify_one();
  }

  const bool takes_progress_;
  std::mutex mutex_;
  std::condition_variable arrived_, answered_;
  News news_;
  bool closed_ = false;
  std::exception_ptr fault_, error_;
};

/// Ends with the work, however the caller's thread is ended: a daemon's at the end of the interpreter is
/// unwound.
class Worker : NotCopied {
 public:
  Worker(StopByCall& stop, Mailbox& mailbox, const std::function<void(Caller&)>& work)
      : stop_(stop), mailbox_(mailbox), thread_([&mailbox, &work] {
          try {
            work(mailbox);
            mailbox.end(nullptr);
          } catch (...) {
            mailbox.end(std::current_exception());
          }
        }) {}
  ~Worker() {
    stop_.stop();
    mailbox_.close();
    thread_.join();
  }

 private:
  StopByCall& stop_;
  Mailbox& mailbox_;
  std::thread thread_;
};

void tell(const nb::object& listener, const Message& message) {
  if (const auto* text = std::get_if<std::string>(&message.content); text != nullptr) {
    listener(message.kind, shown(*text));
    return;
  }
  const auto& [what, done, total, unit] = std::get<Progressed>(message.content);
  listener(message.kind, nb::make_tuple(shown(what), nb::int_(done), nb::int_(total), shown(unit)));
}

std::timed_mutex& one_at_a_time() {
  static std::timed_mutex mutex;
  return mutex;
}

// Of the thread with the interpreter's lock.
StopByCall* under_way = nullptr;
bool no_more = false;

}  // namespace

void run_work(const nb::object& listener, bool takes_progress,
              const std::function<void(Caller& caller)>& work) {
  require(!no_more, "the interpreter is about to end");
  const std::unique_lock alone(one_at_a_time(), std::try_to_lock);
  require(alone.owns_lock(),
          "this process is training, comparing or evaluating already: wait for it, or use another process");
  StopByCall stop;
  Mailbox mailbox(takes_progress);
  std::exception_ptr raised;
  {
    const Listening listening(mailbox);
    const Worker worker(stop, mailbox, work);
    under_way = &stop;
    // Throws nothing: what Python throws first ends the work, and whatever is called after it is not.
    const auto call = [&](const auto& python) {
      if (raised) return;
      try {
        python();
      } catch (const std::exception&) {  // not of ..., which the end of a thread goes by
        raised = std::current_exception();
        stop.stop();
      }
    };
    Mailbox::News news;
    while (!news.ended) {
      {
        const nb::gil_scoped_release others;
        news = mailbox.take();
      }
      for (const Message& message : news.messages) call([&] { tell(listener, message); });
      if (news.request != nullptr) {
        std::exception_ptr fault;
        call([&] {
          try {
            (*news.request)();
          } catch (const Error&) {
            fault = std::current_exception();
          }
        });
        if (raised) mailbox.close();
        mailbox.answer(fault);
      }
      call([] {
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
      });
    }
    under_way = nullptr;
    const nb::gil_scoped_release others;
  }
  if (raised) std::rethrow_exception(raised);
  if (mailbox.error()) std::rethrow_exception(mailbox.error());
}

void stop_work() {
  no_more = true;
  if (under_way != nullptr) under_way->stop();
  const nb::gil_scoped_release others;
  const std::unique_lock ended(one_at_a_time(), std::chrono::seconds(5));
}

}  // namespace sllmr::python
