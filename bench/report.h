// What a benchmark prints: a line for each figure, and all of them as JSON.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "bench/measure.h"

namespace sllmr::bench {

/// Collects figures and prints a line for each.
class Report {
 public:
  /// `scale` and `unit` are for the reader: 1e-6, "M/s".
  void add(const std::string& key, const Figure& figure, double scale, const char* unit,
           const std::string& note) {
    json[key] = figure.median;
    json["spread"][key] = {figure.low, figure.high};
    fmt::print("{:<30} {:>9.3f} {:<6} (+-{:>4.1f} %)  {}\n", key, figure.median * scale, unit,
               100 * figure.spread(), note);
    std::fflush(stdout);
    spreads_.emplace_back(key, figure.spread());
  }
  /// A figure that is shown elsewhere, for varied().
  void watch(const std::string& key, const Figure& figure) { spreads_.emplace_back(key, figure.spread()); }
  /// "a, b": the figures whose spread is above `most`.
  std::string varied(double most) const {
    std::string names;
    for (const auto& [key, spread] : spreads_) {
      if (spread > most) names += (names.empty() ? "" : ", ") + key;
    }
    return names;
  }

  nlohmann::ordered_json json;

 private:
  std::vector<std::pair<std::string, double>> spreads_;
};

}  // namespace sllmr::bench
