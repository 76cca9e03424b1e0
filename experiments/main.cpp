#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <initializer_list>

#include "experiments/app.h"

namespace {

/// A stream that the caller closed must not become a file of ours, which what we print would then go to. What
/// is opened here can be neither read nor written, as a closed one.
void keep_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) != -1) continue;
    [[maybe_unused]] const int opened = ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace

int main(int argc, char** argv) {
  keep_standard_streams();
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is then an error like a full disk
  return sllmr::run_app(argc, argv);
}
