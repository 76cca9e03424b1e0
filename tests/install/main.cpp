// Trains matrix factorisation on a data set, with a gate from a header, and tells how it ranks:
//
//   example DATA RUN_DIR RULE.h
#include <host/config/config.h>
#include <host/runs/training.h>
#include <kernels/exec/communicator.h>

#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: example DATA RUN_DIR RULE.h\n";
    return 2;
  }
  try {
    const std::vector<std::string> words = {"data.path=" + std::string(argv[1]),
                                            "run_dir=" + std::string(argv[2]),
                                            "gate.rule=" + std::string(argv[3]),
                                            "method=hinge",
                                            "model.name=mf",
                                            "train.mode=exact",
                                            "train.epochs=3",
                                            "threads=1",
                                            "device=cpu"};
    const sllmr::Config config = sllmr::load_config("", words);
    const nlohmann::json summary = sllmr::train(config, false, sllmr::alone());
    std::cout << "auc " << summary["test"]["auc"]["all"] << '\n';
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
