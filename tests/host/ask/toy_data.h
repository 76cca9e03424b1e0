// Small data sets built by hand, for the tests of host/ask.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "host/data/dataset.h"

namespace sllmr::test {

/// Users "u1", "u2", ... with these histories over the items "i1", ..., "i<n_items>", all without text.
inline Dataset make_dataset(const std::vector<std::vector<Id>>& histories, Id n_items) {
  Dataset data;
  data.name = "toy";
  data.history_offsets = {0, 0};
  for (std::size_t u = 0; u < histories.size(); ++u) {
    data.users.add("u" + std::to_string(u + 1));
    data.history.insert(data.history.end(), histories[u].begin(), histories[u].end());
    data.history_offsets.push_back(data.interactions());
  }
  for (Id item = 1; item <= n_items; ++item) data.items.add("i" + std::to_string(item));
  data.titles.resize(data.items.rows());
  data.attribute_offsets.assign(data.items.rows() + 1, 0);
  return data;
}

/// A file that lives as long as the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text = "") { std::ofstream(path_, std::ios::binary) << text; }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::string& path() const { return path_; }
  std::string text() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  std::string path_ = testing::TempDir() + "llm." + std::to_string(::getpid()) + ".scores";
};

}  // namespace sllmr::test
