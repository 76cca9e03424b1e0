#include "experiments/app.h"

int main(int argc, char** argv) {
  return sllmr::run_app(argc, argv);
}
