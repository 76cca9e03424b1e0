// The program as a process of its own, for tests that stop it. Needs SLLMR_PROGRAM, its path.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

namespace sllmr {

class Process {
 public:
  /// Its output goes to the file `out`, what it says on standard error nowhere.
  explicit Process(const std::vector<std::string>& words, const char* out = "/dev/null") {
    std::vector<char*> argv = {const_cast<char*>(SLLMR_PROGRAM)};
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, out, O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    started_ = posix_spawn(&pid_, SLLMR_PROGRAM, &quiet, nullptr, argv.data(), environ) == 0;
    posix_spawn_file_actions_destroy(&quiet);
  }
  /// The wait status at the end.
  int wait() const {
    int status = -1;
    if (started_) ::waitpid(pid_, &status, 0);
    return status;
  }
  /// Sends `signal` once `ready` says so and returns the wait status; -1 where it never did.
  template <class Ready>
  int signal_when(const Ready& ready, int signal) {
    if (!started_) return -1;
    const auto end = Clock::now() + std::chrono::seconds(60);
    bool seen = false;
    while (!(seen = ready()) && Clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto sent = Clock::now();
    ::kill(pid_, seen ? signal : SIGKILL);
    const int status = wait();
    seconds_ = std::chrono::duration<double>(Clock::now() - sent).count();
    return seen ? status : -1;
  }
  /// From the signal to the end.
  double seconds_to_end() const { return seconds_; }

 private:
  using Clock = std::chrono::steady_clock;
  pid_t pid_ = 0;
  bool started_ = false;
  double seconds_ = 0;
};

}  // namespace sllmr
