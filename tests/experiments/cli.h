// Commands run within the test, on a small data set.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "experiments/app.h"
#include "host/base/safetensors.h"
#include "host/data/import.h"
#include "host/data/synthetic.h"
#include "tests/host/support.h"

namespace sllmr {

struct Outcome {
  int status;
  std::string out, err;
};

inline Outcome run(std::vector<std::string> words) {
  std::vector<const char*> argv = {"sllmr"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int status = run_app(static_cast<int>(argv.size()), argv.data());
  std::fflush(nullptr);
  return {status, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

/// Names and bytes of the tensors in a run's checkpoint.
inline std::string tensors_of(const std::string& run_dir) {
  std::string bytes;
  for (const StoredTensor& tensor : read_safetensors(run_dir + "/model.safetensors").tensors) {
    bytes += tensor.name;
    bytes.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  }
  return bytes;
}

class CliTest : public testing::Test {
 protected:
  void SetUp() override {
    SyntheticOptions options;
    options.users = 300;
    options.items = 200;
    options.topics = 5;
    save_recbole(synthetic_dataset(options), folder_.path());
  }
  std::string data() const { return folder_ / "synthetic"; }
  TemporaryFolder folder_;
};

}  // namespace sllmr
