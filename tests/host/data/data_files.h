// Small data files in a folder of their own, for the tests of importers.
#pragma once

#include <gmock/gmock.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "host/data/import.h"
#include "tests/support/errors.h"

namespace sllmr {

class DataFiles : public testing::Test {
 protected:
  DataFiles() { std::filesystem::create_directories(folder_); }
  ~DataFiles() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  /// Returns the path of the file.
  std::string write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  std::string write_gzip(const std::string& name, const std::string& text) const {
    gzFile file = gzopen(path(name).c_str(), "wb");
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
    return path(name);
  }

 private:
  std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) /
      (std::string("data.") + testing::UnitTest::GetInstance()->current_test_info()->name() + "." +
       std::to_string(::getpid()));
};

/// The default options but for one.
template <class Member, class Value>
ImportOptions options_with(Member ImportOptions::*member, const Value& value) {
  ImportOptions options;
  options.*member = value;
  return options;
}

inline std::string load_error(const std::string& path, const ImportOptions& options = {}) {
  return error_of([&] { load_dataset(path, options); });
}

using Tokens = std::vector<std::string>;

inline Tokens tokens_of(const TokenMap& vocabulary) {
  Tokens tokens;
  for (Id id = 1; id < vocabulary.rows(); ++id) tokens.emplace_back(vocabulary.token(id));
  return tokens;
}

inline Tokens history_of(const Dataset& data, const std::string& user) {
  Tokens tokens;
  for (const Id item : data.user_history(data.users.find(user))) tokens.emplace_back(data.items.token(item));
  return tokens;
}

/// What `user` was shown beside each item of the history and did not take.
inline std::vector<Tokens> negatives_of(const Dataset& data, const std::string& user) {
  std::vector<Tokens> negatives;
  const Id id = data.users.find(user);
  for (std::size_t k = 0; k < data.user_history(id).size(); ++k) {
    Tokens& tokens = negatives.emplace_back();
    for (const Id item : data.negatives_at(id, static_cast<std::int32_t>(k)))
      tokens.emplace_back(data.items.token(item));
  }
  return negatives;
}

inline std::string title_of(const Dataset& data, const std::string& item) {
  return data.titles[data.items.find(item)];
}

inline Tokens attributes_of(const Dataset& data, const std::string& item) {
  Tokens tokens;
  for (const Id id : data.attributes_of(data.items.find(item)))
    tokens.emplace_back(data.attributes.token(id));
  return tokens;
}

}  // namespace sllmr
