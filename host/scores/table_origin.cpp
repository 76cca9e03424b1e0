#include "host/scores/table_origin.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <span>
#include <vector>

#include "host/base/atomic_file.h"
#include "host/base/input_file.h"
#include "host/base/json_text.h"
#include "host/base/text_file.h"
#include "kernels/exec/error.h"
#include "kernels/exec/fnv.h"
#include "kernels/exec/random.h"

namespace sllmr {

using nlohmann::json;

namespace {

std::optional<std::uint64_t> read_hash(const json& stored) {
  const auto text = stored.get<std::string>();
  std::uint64_t hash = 0;
  const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), hash, 16);
  if (error != std::errc() || stopped != text.data() + text.size()) return std::nullopt;
  return hash;
}

std::string hex(std::uint64_t hash) {
  return fmt::format("{:016x}", hash);
}

}  // namespace

std::uint64_t hash_of_file(const std::string& path) {
  InputFile file(path);
  std::vector<char> buffer(1 << 16);
  Fnv<std::uint64_t> hash;
  while (const std::size_t count = file.read(buffer.data(), buffer.size()))
    hash.add_bytes(std::as_bytes(std::span(buffer.data(), count)));
  require(file.fault().empty(), fmt::format("{}: {}", path, file.fault()));
  return hash.value();
}

std::string origin_path(const std::string& table_path) {
  return table_path + ".json";
}

void write_origin(const std::string& table_path, const TableOrigin& origin) {
  json stored = {
      {"scorer", origin.scorer},   {"model", origin.model},
      {"prompt", origin.prompt},   {"data", {{"name", origin.data}, {"hash", hex(origin.data_hash)}}},
      {"created", origin.created}, {"run", origin.run}};
  if (origin.text_hash) stored["data"]["text_hash"] = hex(*origin.text_hash);
  if (std::filesystem::is_regular_file(table_path)) stored["table_hash"] = hex(hash_of_file(table_path));
  AtomicFile file(origin_path(table_path));
  file.stream() << stored.dump(1, ' ', false, json::error_handler_t::replace) << '\n';
  file.commit();
}

std::optional<TableOrigin> read_origin(const std::string& table_path) {
  const std::string path = origin_path(table_path);
  if (!std::filesystem::exists(path)) return std::nullopt;
  const std::optional<json> read = parse_json(read_text_file(path, "the note beside the table"));
  try {
    const json stored = read.value_or(json());
    TableOrigin origin;
    origin.scorer = stored.at("scorer").get<std::string>();
    origin.model = stored.at("model").get<std::string>();
    origin.prompt = stored.at("prompt").get<std::string>();
    origin.data = stored.at("data").at("name").get<std::string>();
    const json& data = stored.at("data");
    const std::optional<std::uint64_t> hash = read_hash(data.at("hash"));
    if (data.contains("text_hash")) origin.text_hash = read_hash(data.at("text_hash"));
    if (stored.contains("table_hash")) origin.table_hash = read_hash(stored.at("table_hash"));
    const json& created = stored.at("created");
    origin.run = stored.at("run");
    if (hash && origin.text_hash.has_value() == data.contains("text_hash") &&
        origin.table_hash.has_value() == stored.contains("table_hash") && created.is_number_integer() &&
        created >= 0) {
      origin.data_hash = *hash;
      origin.created = created.get<std::int64_t>();
      return origin;
    }
  } catch (const json::exception&) {  // told below
  }
  throw Error(
      fmt::format("'{}' does not say where the table comes from, is nested too deep or not JSON; "
                  "remove it, or score again",
                  path));
}

bool is_origin_of(const TableOrigin& origin, const std::string& table_path) {
  return !origin.table_hash || *origin.table_hash == hash_of_file(table_path);
}

bool is_stale(const ScoreTable& table, const Split& split, Id user) {
  const std::int32_t probe = table.probe[user];
  const auto train = split.train_items(user);
  return probe >= 0 && (train.empty() || train.back() != table.items_of(user)[probe]);
}

Freshness freshness(const ScoreTable& table, const std::optional<TableOrigin>& origin, const Split& split,
                    std::int64_t now) {
  constexpr double kSecondsPerDay = 86400;
  Freshness result;
  result.known = origin.has_value();
  result.same_data = origin && origin->data_hash == split.data->hash;
  result.same_texts = !origin || origin->text_hash.value_or(split.data->text_hash) == split.data->text_hash;
  result.age_days = origin
                        ? (static_cast<double>(now) - static_cast<double>(origin->created)) / kSecondsPerDay
                        : std::numeric_limits<double>::quiet_NaN();
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    result.scored_users += table.probe[user] >= 0;
    result.stale_users += is_stale(table, split, user);
  }
  return result;
}

std::int64_t thin_stale_users(ScoreTable& table, const Split& split, double keep, std::uint64_t seed) {
  require(keep >= 0 && keep <= 1, fmt::format("the weight {} of stale scores is not in [0, 1]", keep));
  std::vector<std::uint8_t> goes(table.probe.size(), 0);
  std::int64_t dropped = 0;
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    const Draw draw = philox(seed, 1, static_cast<std::uint64_t>(user), Purpose::noise);
    goes[user] = is_stale(table, split, user) && static_cast<double>(uniform(draw.word[0])) >= keep;
    dropped += goes[user];
  }
  if (dropped == 0) return 0;
  std::vector<LlmScore> kept = entries_of(table);
  std::erase_if(kept, [&](const LlmScore& entry) { return goes[entry.user] != 0; });
  table = make_score_table(*split.data, kept, std::move(table.scorer));
  return dropped;
}

std::string freshness_warning(const Freshness& f) {
  constexpr double kClockSkewDays = 1;
  if (f.age_days < -kClockSkewDays) {
    return fmt::format("the table is dated {:.1f} days in the future, so its age is not known", -f.age_days);
  }
  if (f.same_data && !f.same_texts) return "the items' texts have changed since the scores were made";
  if (f.same_data || (!f.known && f.stale_users == 0)) return {};
  return fmt::format(
      "the scores were made from other data: {} of {} scored users have new interactions since{}",
      f.stale_users, f.scored_users,
      f.known ? fmt::format(", the table is {:.0f} days old", f.age_days) : std::string());
}

}  // namespace sllmr
