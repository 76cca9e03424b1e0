#include "host/guidance/gate_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <string_view>
#include <utility>

#include "host/base/text_file.h"
#include "kernels/exec/error.h"
#include "kernels/exec/fnv.h"

namespace sllmr {

namespace {

namespace fs = std::filesystem;

/// Lines without their comments; longer ones than anybody writes are left out.
std::vector<std::string> code_lines(const std::string& text) {
  constexpr std::size_t kLongest = 1000;
  std::vector<std::string> lines(1);
  bool in_comment = false;
  for (std::size_t k = 0; k < text.size(); ++k) {
    const std::string_view two = std::string_view(text).substr(k, 2);
    if (text[k] == '\n') {
      lines.emplace_back();
    } else if (in_comment) {
      if (two == "*/") in_comment = (++k, false);
    } else if (two == "/*") {
      in_comment = (++k, true);
    } else if (two == "//") {
      k = std::min(text.find('\n', k), text.size()) - 1;
    } else {
      lines.back() += text[k];
    }
  }
  std::erase_if(lines, [](const std::string& line) { return line.size() > kLongest; });
  return lines;
}

/// Names, and every other character but blanks by itself.
std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  bool in_name = false;
  for (const char c : line) {
    const bool of_name = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
    if (of_name && in_name) {
      words.back() += c;
    } else if (of_name || std::isspace(static_cast<unsigned char>(c)) == 0) {
      words.emplace_back(1, c);
    }
    in_name = of_name;
  }
  return words;
}

/// A struct or class as a line begins to define it: its name, and the names behind the colon.
struct Definition {
  std::string name;
  std::vector<std::string> bases;
};
std::vector<Definition> definitions_in(const std::vector<std::string>& lines) {
  std::vector<Definition> found;
  for (const std::string& line : lines) {
    const std::vector<std::string> words = words_of(line);
    for (std::size_t k = 0; k + 1 < words.size(); ++k) {
      if (words[k] != "struct" && words[k] != "class") continue;
      Definition each{words[k + 1], {}};
      std::size_t at = k + 2;
      if (at < words.size() && words[at] == "final") ++at;
      if (at >= words.size() || words[at] != ":") continue;
      for (++at; at < words.size() && words[at] != "{"; ++at) each.bases.push_back(words[at]);
      found.push_back(std::move(each));
    }
  }
  return found;
}

/// The file that a line includes from beside its own; empty: none.
std::string included_by(const std::string& line) {
  const std::vector<std::string> words = words_of(line);
  const std::size_t begin = line.find('"'), end = line.find('"', begin + 1);
  const bool includes = words.size() > 3 && words[0] == "#" && words[1] == "include" && words[2] == "\"";
  return includes && end != line.npos ? line.substr(begin + 1, end - begin - 1) : std::string();
}

/// Adds a file, and what it includes from beside it, to the hash.
void add_file(const fs::path& path, std::set<std::string>& seen, Fnv<std::uint64_t>& hash) {
  if (!seen.insert(fs::absolute(path).string()).second) return;
  const std::string text = read_text_file(path.string(), "gate");
  hash.add_token(text);
  for (const std::string& line : code_lines(text)) {
    const std::string name = included_by(line);
    if (name.empty()) continue;
    const fs::path beside = path.parent_path() / name;
    if (fs::is_regular_file(beside)) add_file(beside, seen, hash);
  }
}

}  // namespace

GateHeader read_gate_header(const std::string& path) {
  require(path.find_first_of("\"\n") == std::string::npos,
          fmt::format("{}: a gate's path may hold no quotation mark and no line end: move the file", path));
  require_not_pipe(path, "gate");
  const std::vector<std::string> lines = code_lines(read_text_file(path, "gate"));
  const std::vector<Definition> definitions = definitions_in(lines);
  const auto has_base = [](const Definition& each, const std::string& base) {
    return std::ranges::find(each.bases, base) != each.bases.end();
  };
  std::string name;
  const GateHeaderKind* kind = nullptr;
  int parts = 0;
  for (const GateHeaderKind& each : kGateHeaderKinds) {
    for (const Definition& definition : definitions) {
      if (!has_base(definition, each.base)) continue;
      name = definition.name;
      kind = &each;
      ++parts;
    }
  }
  require(parts == 1,
          fmt::format("{}: {} parts of a gate are defined here, of which there must be one: `struct Name : "
                      "GateRule`, or GateObjective or GatePenalty, as in kernels/gates",
                      path, parts));
  for (const Definition& each : definitions) {
    require(!has_base(each, name),
            fmt::format("{}: {} derives from {}, and either could be meant: define one part", path, each.name,
                        name));
  }
  const std::string space = fmt::format("namespace {}", kind->space);
  require(std::ranges::any_of(lines, [&](const std::string& line) { return line.find(space) != line.npos; }),
          fmt::format("{}: a {} is defined in `{} {{ .. }}`", path, kind->base, space));
  return {fs::absolute(path).string(), kind, fmt::format("{}::{}", kind->space, name)};
}

std::uint64_t hash_of_gate_headers(const std::vector<std::string>& files) {
  if (files.empty()) return 0;
  Fnv<std::uint64_t> hash;
  std::set<std::string> seen;
  for (const std::string& file : files) add_file(file, seen, hash);
  return hash.value();
}

}  // namespace sllmr
