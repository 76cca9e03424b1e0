#include <nanobind/stl/string.h>

#include "core/bindings.h"
#include "core/data.h"
#include "core/work.h"
#include "host/scores/score_table.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace sllmr::python {
namespace {

ScoreTable read(const std::string& path, const Data& data, const nb::object& listener) {
  ScoreTable table;
  run_work(listener, false,
           [&](Caller&) { table = read_scores(path, data.world.split, data.config.llm.min_known); });
  return table;
}

/// Rows of the data's users, one an entry.
std::vector<std::int32_t> users_of(const ScoreTable& table) {
  std::vector<std::int32_t> users;
  users.reserve(table.items.size());
  for (std::size_t user = 1; user + 1 < table.offsets.size(); ++user)
    users.insert(users.end(), static_cast<std::size_t>(table.offsets[user + 1] - table.offsets[user]),
                 static_cast<std::int32_t>(user) - 1);
  return users;
}

std::vector<std::int32_t> items_of(const ScoreTable& table) {
  std::vector<std::int32_t> items;
  items.reserve(table.items.size());
  for (const Id item : table.items) items.push_back(item - 1);
  return items;
}

/// 1 where the entry is its user's probe.
std::vector<std::uint8_t> probes_of(const ScoreTable& table) {
  std::vector<std::uint8_t> probes(table.items.size());
  for (std::size_t user = 1; user + 1 < table.offsets.size(); ++user) {
    if (table.probe[user] >= 0) probes[static_cast<std::size_t>(table.offsets[user] + table.probe[user])] = 1;
  }
  return probes;
}

nb::dict stats_of(const ScoreTable& table, const Data& data) {
  const ScoreStats stats = score_stats(table, data.world.split);
  nb::dict out;
  out["pairs"] = stats.pairs;
  out["users"] = stats.users;
  out["cold_users"] = stats.cold_users;
  out["probes"] = stats.probes;
  out["lowest"] = stats.lowest;
  out["highest"] = stats.highest;
  out["agreement"] = stats.agreement;
  out["agreement_cold"] = stats.agreement_cold;
  out["agreement_warm"] = stats.agreement_warm;
  return out;
}

}  // namespace

void bind_scores(nb::module_& module) {
  nb::class_<ScoreTable>(module, "Scores", "Scores of (user, item) pairs; see sllmr.ScoreTable.")
      .def_prop_ro(
          "users", [](const ScoreTable& table) { return given(users_of(table)); }, kAsItIs)
      .def_prop_ro(
          "items", [](const ScoreTable& table) { return given(items_of(table)); }, kAsItIs)
      .def_prop_ro(
          "scores",
          [](nb::handle self) { return view(std::span(nb::cast<const ScoreTable&>(self).scores), self); },
          kAsItIs)
      .def_prop_ro(
          "variances",
          [](nb::handle self) { return view(std::span(nb::cast<const ScoreTable&>(self).variances), self); },
          kAsItIs)
      .def_prop_ro(
          "probes", [](const ScoreTable& table) { return given(probes_of(table)); }, kAsItIs)
      .def_prop_ro("unknown_rows", [](const ScoreTable& table) { return table.unknown_rows; })
      .def("stats", &stats_of, "data"_a);
  module.def("read_scores", &read, "path"_a, "data"_a, "listener"_a,
             "Reads a table of scores for a data set.");
}

}  // namespace sllmr::python
