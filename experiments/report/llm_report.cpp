#include "experiments/report/llm_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace sllmr {
namespace {

using nlohmann::json;

std::string figure(const json& value, int digits = 3) {
  return value.is_number() ? fmt::format("{:.{}f}", value.get<double>(), digits) : "-";
}

std::string with_interval(const json& share) {
  return fmt::format("{} ({} to {})", figure(share["value"]), figure(share["low"]), figure(share["high"]));
}

std::string share_of(const json& part, const json& whole) {
  const auto n = whole.get<double>();
  return fmt::format("{} of {} ({:.1f} %)", part.dump(), whole.dump(),
                     n > 0 ? 100 * part.get<double>() / n : 0.0);
}

void add_leakage(std::string& out, const json& leakage) {
  const auto verdict = [](bool bad, const char* what) { return bad ? what : "ok"; };
  out += "\n## Leakage\n\n| check | found | |\n|---|---|---|\n";
  out += fmt::format("| probes that are no training items | {} of {} | {} |\n",
                     leakage["probes_not_in_training"].dump(), leakage["probes"].dump(),
                     verdict(leakage["probes_not_in_training"] != 0, "LEAK"));
  out += fmt::format("| training items among the other candidates | {} of {} | {} |\n",
                     leakage["training_items_among_candidates"].dump(), leakage["candidates"].dump(),
                     verdict(leakage["training_items_among_candidates"] != 0,
                             "they are no negatives: the history may have shown them"));
  out += fmt::format(
      "| validation and test items among them | {}, {} expected by chance | {} |\n",
      leakage["held_out_items_among_candidates"].dump(),
      figure(leakage["held_out_items_expected_by_chance"], 1),
      leakage["too_many_held_out"].get<bool>()  ? "LEAK: candidates were drawn with knowledge of them"
      : leakage["too_few_held_out"].get<bool>() ? "they were kept away, which takes knowledge of them"
                                                : "ok");
}

void add_prompt_audit(std::string& out, const json& audit) {
  out += fmt::format(
      "| history items of prompts that are validation or test items | {} of {} | {} |\n"
      "| prompts whose history shows the probe | {} of {} | {} |\n",
      audit["held_out_in_history"].dump(), audit["history_items"].dump(),
      audit["held_out_in_history"] != 0 ? "LEAK" : "ok", audit["probe_in_history"].dump(),
      audit["sets"].dump(), audit["probe_in_history"] != 0 ? "LEAK" : "ok");
}

void add_coverage(std::string& out, const json& c) {
  out += "\n## Coverage\n\n| | scored |\n|---|---|\n";
  out += fmt::format("| users | {} |\n", share_of(c["scored_users"], c["users"]));
  out += fmt::format("| cold users | {} |\n", share_of(c["scored_cold_users"], c["cold_users"]));
  out += fmt::format("| items | {} |\n", share_of(c["scored_items"], c["items"]));
  out += fmt::format("| tail items | {} |\n", share_of(c["scored_tail_items"], c["tail_items"]));
  out += fmt::format("| pairs | {}, exactly 0.5: {} |\n", c["pairs"].dump(), c["at_default"].dump());
  const json& sizes = c["candidates_per_user"];
  out += fmt::format("| candidates of a user | {} to {}, median {} |\n", sizes["fewest"].dump(),
                     sizes["most"].dump(), sizes["median"].dump());
  out += fmt::format("| pairs of candidates with equal scores | {} |\n", figure(c["ties"]));
  const json& variance = c["judge_variance"];
  out += variance.is_null()
             ? "| judge variance | none in the table (see `--permutations`) |\n"
             : fmt::format("| judge variance over orders of the candidates, 0 to 1 | mean {}, at most {} |\n",
                           figure(variance["mean"]), figure(variance["highest"]));
}

void add_cost(std::string& out, const json& run) {
  const json& s = run["summary"];
  out += "\n## Cost and answers\n\n| | |\n|---|---|\n";
  out += fmt::format("| answers | {}, {} of them from the cache, {} bad, {} without a reply |\n",
                     s["answers"].dump(), s["cached"].dump(), s["bad"].dump(), s["failed"].dump());
  out +=
      fmt::format("| pairs without a judgement, taken as 0.5 | {} |\n", share_of(s["defaulted"], s["pairs"]));
  const json& f = s["faults"];
  out += fmt::format(
      "| faults in answers | missing {}, not a number {}, out of range {}, repeated {}, contradicted {}, "
      "unknown {}, converted {} |\n",
      f["missing"].dump(), f["not_a_number"].dump(), f["out_of_range"].dump(), f["repeated"].dump(),
      f.value("contradicted", 0), f["unknown"].dump(), f["converted"].dump());
  const json& r = s["retries"];
  out += fmt::format(
      "| second tries | rate limit {}, server error {}, time-out {}, broken connection {}, malformed {} |\n",
      r["rate_limited"].dump(), r["server_errors"].dump(), r["timeouts"].dump(), r["broken"].dump(),
      r["rejected"].dump());
  out += fmt::format("| tokens | {} in, {} out |\n", s["tokens_in"].dump(), s["tokens_out"].dump());
  out += fmt::format("| money | {} (this run {}) |\n", figure(s["money"], 4), figure(s["paid_money"], 4));
  out += fmt::format("| seconds of this run | {} |\n", figure(s["seconds"], 1));
  if (run.contains("forecast") && run["forecast"].is_object()) {
    const json& forecast = run["forecast"];
    out += fmt::format(
        "| forecast before it | {} prompts to ask, {} tokens in, {} out, money {}, seconds {} |\n",
        forecast["to_ask"].dump(), figure(forecast["tokens_in"], 0), figure(forecast["tokens_out"], 0),
        figure(forecast["money"], 4), figure(forecast["seconds"], 0));
  }
}

void add_reliability(std::string& out, const json& r) {
  out +=
      "\n## Reliability\n\nShare of a user's other candidates ranked below the probe, ties half, with the 95 "
      "% "
      "interval; beside it the order by training popularity. 0.5 is chance.\n\n"
      "| slice | users | scores | popularity |\n|---|---|---|---|\n";
  const std::pair<const char*, const char*> slices[] = {{"all", "all"},
                                                        {"cold", "cold users"},
                                                        {"warm", "warm users"},
                                                        {"tail", "probe in the tail"},
                                                        {"head", "probe not in the tail"}};
  for (const auto& [key, name] : slices) {
    out += fmt::format("| {} | {} | {} | {} |\n", name, r[key]["n"].dump(), with_interval(r[key]),
                       figure(r[key]["popularity"]));
  }
  out +=
      "\nBy training items before the probe (rows) and popularity of the probe (columns): agreement, "
      "users.\n\n|";
  for (const json& label : r["popularity"]) out += fmt::format(" | {}", label.get<std::string>());
  out += " |\n|---" + [&] {
    std::string rule;
    for (std::size_t k = 0; k < r["popularity"].size(); ++k) rule += "|---";
    return rule;
  }() + "|\n";
  for (std::size_t row = 0; row < r["history"].size(); ++row) {
    out += fmt::format("| {}", r["history"][row].get<std::string>());
    for (const json& cell : r["cells"][row]) {
      out += cell["n"] == 0 ? " | -" : fmt::format(" | {} ({})", with_interval(cell), cell["n"].dump());
    }
    out += " |\n";
  }
}

void add_calibration(std::string& out, const json& c) {
  out += fmt::format(
      "\n## Calibration\n\nOf the candidates with such a score, how many were the probe? {} where scores say "
      "nothing. "
      "Rank correlation of score and share: {}.\n\n| score | candidates | probes | share "
      "|\n|---|---|---|---|\n",
      figure(c["base_rate"]), figure(c["rank_correlation"], 2));
  for (const json& bin : c["bins"]) {
    const json& probes = bin["probes"];
    if (probes["n"] == 0) continue;
    out += fmt::format("| {:.1f} to {:.1f} | {} | {:.0f} | {} |\n", bin["low"].get<double>(),
                       bin["high"].get<double>(), probes["n"].dump(),
                       probes["value"].get<double>() * probes["n"].get<double>(), with_interval(probes));
  }
}

void add_position_bias(std::string& out, const json& summary) {
  const auto mean = summary["position_mean"].get<std::vector<double>>();
  if (mean.empty()) return;
  const auto [low, high] = std::minmax_element(mean.begin(), mean.end());
  out += fmt::format(
      "\n## Position bias\n\nMean of what the model gave each position, as answered (candidates are "
      "shuffled, so without "
      "bias all are alike): lowest {:.3f} at {}, highest {:.3f} at {}.\n\n|",
      *low, low - mean.begin() + 1, *high, high - mean.begin() + 1);
  for (std::size_t k = 0; k < mean.size(); ++k) out += fmt::format(" {} |", k + 1);
  out += "\n|";
  for (std::size_t k = 0; k < mean.size(); ++k) out += "---|";
  out += "\n|";
  for (const double m : mean) out += fmt::format(" {:.3f} |", m);
  out += '\n';
}

std::string escape(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '<') {
      escaped += "&lt;";
    } else if (c == '&') {
      escaped += "&amp;";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

/// White at 0.5, blue towards 1, red towards 0.
std::string colour(double agreement) {
  const double distance = std::clamp(2 * std::abs(agreement - 0.5), 0.0, 1.0);
  const auto mix = [&](int end) { return static_cast<int>(std::lround(255 + distance * (end - 255))); };
  return agreement >= 0.5 ? fmt::format("rgb({},{},{})", mix(33), mix(102), mix(172))
                          : fmt::format("rgb({},{},{})", mix(178), mix(24), mix(43));
}

}  // namespace

std::string llm_report_text(const json& report) {
  std::string out = fmt::format("# Scores of {} for {}\n", report["table"].get<std::string>(),
                                report["data"]["name"].get<std::string>());
  const bool has_run = report.contains("origin") && report["origin"]["run"].is_object();
  const json run = has_run ? report["origin"]["run"] : json::object();
  if (report.contains("origin")) {
    const json& origin = report["origin"];
    out += fmt::format("\nScorer {}, model {}, template {}.\n", origin["scorer"].get<std::string>(),
                       origin["model"].get<std::string>(), origin["prompt"].get<std::string>());
  }
  add_leakage(out, report["leakage"]);
  if (run.contains("audit")) add_prompt_audit(out, run["audit"]);
  add_coverage(out, report["coverage"]);
  if (run.contains("summary")) add_cost(out, run);
  add_reliability(out, report["reliability"]);
  add_calibration(out, report["calibration"]);
  if (run.contains("summary")) add_position_bias(out, run["summary"]);
  const json& fresh = report["freshness"];
  out += fmt::format("\n## Freshness\n\n{}. Users whose last training item is no longer the probe: {}.\n",
                     !fresh["known"].get<bool>()        ? "The table does not say where it comes from"
                     : !fresh["same_data"].get<bool>()  ? "Made from other data"
                     : !fresh["same_texts"].get<bool>() ? "Made from other texts of these data"
                                                        : "Made from these data",
                     share_of(fresh["stale_users"], fresh["scored_users"]));
  if (const std::string warning = fresh["warning"]; !warning.empty())
    out += fmt::format("Warning: {}.\n", warning);
  return out;
}

std::string reliability_svg(const json& report) {
  constexpr int kLeft = 120, kTop = 84, kWidth = 118, kHeight = 52;
  const json& r = report["reliability"];
  const auto rows = static_cast<int>(r["history"].size()), columns = static_cast<int>(r["popularity"].size());
  const int width = kLeft + columns * kWidth + 20, height = kTop + rows * kHeight + 40;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n",
      width, height);
  const auto text = [&](double x, double y, const std::string& anchor, const std::string& line,
                        const std::string& style = "") {
    svg += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor,
                       style, escape(line));
  };
  text(12, 22, "start",
       fmt::format("Agreement of {} with behaviour, {}: {}", report["table"].get<std::string>(),
                   report["data"]["name"].get<std::string>(), with_interval(r["all"])),
       " font-size=\"14\" font-weight=\"bold\"");
  text(12, 42, "start",
       "Share of other candidates ranked below the probe (chance: 0.5), 95 % interval, users",
       " fill=\"#555\"");
  text(kLeft + columns * kWidth / 2.0, 62, "middle",
       "popularity of the probe (share of items that are less popular)");
  for (int c = 0; c < columns; ++c) {
    text(kLeft + (c + 0.5) * kWidth, 78, "middle", r["popularity"][c].get<std::string>());
  }
  for (int row = 0; row < rows; ++row) {
    const int y = kTop + row * kHeight;
    text(kLeft - 10, y + 30, "end",
         fmt::format("{}{}", r["history"][row].get<std::string>(), row == 0 ? " items before" : ""));
    for (int c = 0; c < columns; ++c) {
      const json& cell = r["cells"][row][c];
      const bool empty = cell["n"] == 0;
      const double value = empty ? 0.5 : cell["value"].get<double>();
      svg += fmt::format(
          "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\" stroke=\"white\" "
          "stroke-width=\"2\"/>\n",
          kLeft + c * kWidth, y, kWidth, kHeight, empty ? "#eee" : colour(value));
      const std::string style = std::abs(value - 0.5) > 0.4 ? " fill=\"white\"" : "";
      const double x = kLeft + (c + 0.5) * kWidth;
      if (empty) {
        text(x, y + 30, "middle", "no users", " fill=\"#777\"");
        continue;
      }
      text(x, y + 23, "middle", figure(cell["value"], 2), style + " font-weight=\"bold\"");
      text(x, y + 40, "middle",
           fmt::format("{} to {}, n {}", figure(cell["low"], 2), figure(cell["high"], 2), cell["n"].dump()),
           style + " font-size=\"10\"");
    }
  }
  return svg + "</svg>\n";
}

}  // namespace sllmr
