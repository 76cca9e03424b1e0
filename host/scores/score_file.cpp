// Score tables as files: TSV and JSON lines.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <string_view>
#include <tuple>

#include "host/base/atomic_file.h"
#include "host/base/json_text.h"
#include "host/base/line_reader.h"
#include "host/base/say.h"
#include "host/scores/score_table.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 5> kColumns = {"user_id", "item_id", "score", "probe", "variance"};
constexpr std::size_t kRequired = 3;  // the others may be absent

/// The rows of a file whose users and items the data know.
class KnownRows {
 public:
  KnownRows(const LineReader& lines, const Dataset& data) : lines_(lines), data_(data) {}

  /// Adds the row of the reader's line, `rest` with its ids.
  void add(std::string_view user, std::string_view item, LlmScore rest) {
    rest.user = data_.users.find(user);
    rest.item = data_.items.find(item);
    if (rest.user != 0 && rest.item != 0) {
      scores.push_back(rest);
      numbers.push_back(lines_.line_number());
      return;
    }
    ++unknown;
    if (!first_unknown.empty()) return;
    first_unknown = fmt::format("{}:{}: unknown {} '{}'", lines_.path(), lines_.line_number(),
                                rest.user == 0 ? "user" : "item", rest.user == 0 ? user : item);
  }
  std::int64_t rows() const { return static_cast<std::int64_t>(scores.size()) + unknown; }
  /// Tells of what was left out, or throws Error where that is too much.
  void check(double min_known) const {
    if (unknown == 0) return;
    const double known = static_cast<double>(scores.size()) / static_cast<double>(rows());
    const std::string fault = fmt::format("{}; {} of {} rows name users or items that are not in {}",
                                          first_unknown, unknown, rows(), data_.name);
    require(!scores.empty() && known >= min_known,
            fmt::format("{}: score these data, or name those that the scores are of (a smaller "
                        "llm.min_known, or --min-known, than {} lets a table pass that fits less)",
                        fault, min_known));
    say(fmt::format("warning: {}; they are left out", fault));
  }

  /// Keeps the first of rows that are equal, and tells how many were not.
  void drop_repeats() {
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto values = [this](std::size_t k) {
      const LlmScore& s = scores[k];
      return std::tuple(s.user, s.item, s.score, s.probe, s.variance);
    };
    std::ranges::stable_sort(order, {}, values);
    std::vector<std::uint8_t> repeats(scores.size(), 0);
    for (std::size_t k = 1; k < order.size(); ++k)
      repeats[order[k]] = values(order[k]) == values(order[k - 1]);
    std::size_t kept = 0;
    for (std::size_t k = 0; k < scores.size(); ++k) {
      if (repeats[k] != 0) continue;
      scores[kept] = scores[k];
      numbers[kept++] = numbers[k];
    }
    if (kept == scores.size()) return;
    say(fmt::format("warning: {}: {} rows repeat another one and are left out", lines_.path(),
                    scores.size() - kept));
    scores.resize(kept);
    numbers.resize(kept);
  }

  std::vector<LlmScore> scores;
  std::vector<std::int64_t> numbers;  // of their lines
  std::int64_t unknown = 0;
  std::string first_unknown;

 private:
  const LineReader& lines_;
  const Dataset& data_;
};

/// The index of each of kColumns in a TSV line; n_fields for an absent one.
struct Header {
  std::array<std::size_t, kColumns.size()> index;
  std::size_t n_fields;
};

Header parse_header(const LineReader& lines, std::string_view line) {
  std::vector<std::string_view> fields;
  split(line, "\t", fields);
  Header header{{}, fields.size()};
  header.index.fill(header.n_fields);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::string_view name = fields[i].substr(0, fields[i].find(':'));
    const auto column = std::find(kColumns.begin(), kColumns.end(), name);
    if (column == kColumns.end()) {
      lines.fail(
          fmt::format("unknown column '{}'; name the columns user_id, item_id, score and, optional, probe "
                      "and variance, separated by tabs",
                      name));
    }
    std::size_t& index = header.index[column - kColumns.begin()];
    if (index != header.n_fields) lines.fail(fmt::format("column '{}' appears twice; keep one", name));
    index = i;
  }
  for (std::size_t c = 0; c < kRequired; ++c) {
    if (header.index[c] == header.n_fields) {
      lines.fail(fmt::format("the header names no column '{}'; add it", kColumns[c]));
    }
  }
  return header;
}

void parse_tsv(LineReader& lines, std::string_view line, KnownRows& rows) {
  const Header header = parse_header(lines, line);
  const auto [user, item, score, probe, variance] = header.index;
  std::vector<std::string_view> fields;
  while (lines.next(line)) {
    lines.split_exactly(line, "\t", header.n_fields, fields);
    LlmScore entry;
    entry.score = static_cast<float>(lines.number(fields[score], "score"));
    if (probe < header.n_fields) {
      entry.probe = fields[probe] == "1";
      if (!entry.probe && fields[probe] != "0") {
        lines.fail(fmt::format("probe '{}' is neither 0 nor 1; write one of them", fields[probe]));
      }
    }
    if (variance < header.n_fields) {
      entry.variance = static_cast<float>(lines.number(fields[variance], "variance"));
    }
    rows.add(fields[user], fields[item], entry);
  }
  if (rows.rows() == 0) lines.fail("no scores after the header; write the file again");
  // A score cut from 0.25 to 0.2 passes every other check.
  if (lines.may_be_truncated()) {
    lines.fail(
        "the last line has no line end, so the file may be truncated; write it again, or end the line");
  }
}

std::string raw_id(const LineReader& lines, const json& object, std::string_view key) {
  const json& value = object.at(key);
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return value.dump();
  lines.fail(fmt::format("{} is neither a string nor an integer; write the raw id", key));
}

void parse_object(const LineReader& lines, std::string_view line, KnownRows& rows) {
  const std::optional<json> read = parse_json(line);
  if (!read || !read->is_object()) {
    lines.fail(
        "not a JSON object, nested too deep, or truncated; write one object a line, or the file again");
  }
  const json& object = *read;
  for (const auto& [key, value] : object.items()) {
    if (std::find(kColumns.begin(), kColumns.end(), key) == kColumns.end()) {
      lines.fail(fmt::format(
          "unknown key '{}'; the keys are user_id, item_id, score and, optional, probe and variance", key));
    }
  }
  for (std::size_t c = 0; c < kRequired; ++c) {
    if (!object.contains(kColumns[c])) lines.fail(fmt::format("the object has no '{}'; add it", kColumns[c]));
  }
  LlmScore entry;
  const json& score = object.at("score");
  if (!score.is_number()) lines.fail("score is not a number; write one in [0, 1]");
  entry.score = static_cast<float>(score.get<double>());
  if (const auto probe = object.find("probe"); probe != object.end()) {
    if (!probe->is_boolean()) lines.fail("probe is neither true nor false; write one of them");
    entry.probe = probe->get<bool>();
  }
  if (const auto variance = object.find("variance"); variance != object.end()) {
    if (!variance->is_number()) lines.fail("variance is not a number; write one in [0, 1]");
    entry.variance = static_cast<float>(variance->get<double>());
  }
  rows.add(raw_id(lines, object, "user_id"), raw_id(lines, object, "item_id"), entry);
}

void parse_json_lines(LineReader& lines, std::string_view line, KnownRows& rows) {
  do parse_object(lines, line, rows);
  while (lines.next(line));
}

/// Reads the file; with a split, refuses probes that are not training items and marks probes where there are
/// none.
ScoreTable read_table(const std::string& path, const Dataset& data, const Split* leave_one_out,
                      double min_known) {
  LineReader lines(path);
  const std::string_view line = lines.first();
  const bool json_lines = line.starts_with('{');
  KnownRows rows(lines, data);
  if (json_lines) {
    parse_json_lines(lines, line, rows);
  } else {
    parse_tsv(lines, line, rows);
  }
  rows.check(min_known);
  rows.drop_repeats();
  const std::vector<LlmScore>& scores = rows.scores;
  const auto origin = [&](std::size_t i) { return fmt::format("{}:{}: ", path, rows.numbers[i]); };
  for (std::size_t i = 0; leave_one_out && i < scores.size(); ++i) {
    if (!scores[i].probe) continue;
    const std::string fault = probe_fault(*leave_one_out, scores[i].user, scores[i].item);
    if (!fault.empty()) throw Error(origin(i) + fault);
  }
  const std::string name = std::filesystem::path(path).filename().string();
  ScoreTable table = make_score_table(data, scores, "file:" + name, origin);
  table.unknown_rows = rows.unknown;
  if (leave_one_out) mark_probes(table, *leave_one_out);
  return table;
}

/// A raw id as the format spells it: as it is between tabs, quoted and escaped in JSON.
std::string spell(std::string_view token, bool json_lines) {
  if (json_lines) {
    try {
      return json(token).dump();
    } catch (const json::type_error&) {
      throw Error(fmt::format("the id '{}' is not UTF-8, which JSON asks for; write TSV", token));
    }
  }
  if (token.find_first_of("\t\r\n") != token.npos) {
    throw Error(fmt::format("the id '{}' contains a tab or a line break; write JSON lines", token));
  }
  return std::string(token);
}

}  // namespace

ScoreTable read_scores(const std::string& path, const Dataset& data, double min_known) {
  return read_table(path, data, nullptr, min_known);
}

ScoreTable read_scores(const std::string& path, const Split& split, double min_known) {
  return read_table(path, *split.data, &split, min_known);
}

void write_scores(const std::string& path, const ScoreTable& table, const Dataset& data, bool json_lines) {
  AtomicFile file(path);
  const bool varies = !table.variances.empty();
  if (!json_lines) {
    file.stream() << "user_id:token\titem_id:token\tscore:float\tprobe:float"
                  << (varies ? "\tvariance:float\n" : "\n");
  }
  std::string buffer;
  for (Id user = 1; user < data.users.rows(); ++user) {
    const std::string user_token = spell(data.users.token(user), json_lines);
    const auto items = table.items_of(user);
    const auto scores = table.scores_of(user);
    for (std::size_t k = 0; k < items.size(); ++k) {
      const bool probe = static_cast<std::int32_t>(k) == table.probe[user];
      const std::string item_token = spell(data.items.token(items[k]), json_lines);
      // {} prints the shortest decimal that reads back as the same float.
      if (json_lines) {
        fmt::format_to(std::back_inserter(buffer),
                       "{{\"user_id\":{},\"item_id\":{},\"score\":{},\"probe\":{}", user_token, item_token,
                       scores[k], probe);
      } else {
        fmt::format_to(std::back_inserter(buffer), "{}\t{}\t{}\t{}", user_token, item_token, scores[k],
                       probe ? 1 : 0);
      }
      if (varies) {
        fmt::format_to(std::back_inserter(buffer), "{}{}", json_lines ? ",\"variance\":" : "\t",
                       table.variance_of(user, k));
      }
      buffer += json_lines ? "}\n" : "\n";
    }
    file.stream() << buffer;
    buffer.clear();
  }
  file.commit();
}

}  // namespace sllmr
