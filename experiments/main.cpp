#include <csignal>

#include "experiments/app.h"

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is then an error like a full disk
  return sllmr::run_app(argc, argv);
}
