#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "host/ask/scorer.h"
#include "host/base/say.h"
#include "host/config/applicability.h"
#include "host/runs/training.h"
#include "host/scores/noise.h"
#include "host/scores/report.h"
#include "host/scores/table_origin.h"
#include "kernels/exec/fnv.h"

namespace sllmr {

namespace {

/// FNV-1a over everything that training reads of a score table.
std::uint64_t hash_scores(const ScoreTable& table) {
  Fnv<std::uint64_t> hash;
  const auto add = [&hash](const auto& values) { hash.add_bytes(std::as_bytes(std::span(values))); };
  add(table.offsets);
  add(table.items);
  add(table.scores);
  add(table.probe);
  if (!table.variances.empty()) add(table.variances);
  return hash.value();
}

/// Warns of a table that the data have left behind, refuses it, or keeps a share of what is stale, as
/// llm.stale and llm.stale_weight say.
void check_freshness(const Config& config, const Split& split, ScoreTable& table) {
  const Freshness fresh =
      freshness(table, read_origin(config.llm.scores), split, static_cast<std::int64_t>(std::time(nullptr)));
  std::string warning = freshness_warning(fresh);
  if (config.llm.max_age_days > 0) {
    require(fresh.known, fmt::format("{}: llm.max_age_days needs the table's origin ({}), which is missing",
                                     config.llm.scores, origin_path(config.llm.scores)));
    if (warning.empty() && fresh.age_days > config.llm.max_age_days) {
      warning = fmt::format("the table is {:.1f} days old, more than llm.max_age_days={}", fresh.age_days,
                            config.llm.max_age_days);
    }
  }
  if (!warning.empty()) {
    if (config.llm.stale == LlmConfig::Stale::refuse) {
      throw Error(
          fmt::format("{}: {}; score the data again, or set llm.stale=warn", config.llm.scores, warning));
    }
    say(fmt::format("warning: {}: {}", config.llm.scores, warning));
  }
  if (config.llm.stale_weight < 1) {
    thin_stale_users(table, split, config.llm.stale_weight, config.seed);
  }
}

/// Stops at a table that knows held-out items, warns of one that avoids them.
LeakageAudit check_leaks(const Config& config, const Split& split, const ScoreTable& table) {
  const LeakageAudit audit = audit_table(table, split);
  if (audit.too_many()) {
    const std::string leak = fmt::format("{}: leak: {}, so they were drawn with knowledge of them",
                                         config.llm.scores, leak_text(audit));
    require(
        config.llm.allow_leak,
        fmt::format("{}, and figures would be worth nothing; draw candidates from training items alone (as "
                    "sllmr llm score does), or set llm.allow_leak=true",
                    leak));
    say(fmt::format("warning: {}", leak));
  } else if (audit.too_few()) {
    say(fmt::format("warning: {}: {}: they were kept away, which takes knowledge of them", config.llm.scores,
                    leak_text(audit)));
  }
  return audit;
}

/// Says how many items a scorer that reads texts knows nothing of.
void warn_of_missing_texts(const Config& config, const Dataset& data) {
  Id without = 0;
  for (Id item = 1; item < data.items.rows(); ++item) {
    without += data.titles[item].empty() && data.attributes_of(item).empty();
  }
  if (without == 0) return;
  say(fmt::format(
      "warning: {}: {} of {} items have no text, so llm.scorer={} has no judgement of them and takes {}",
      data.source, without, data.items.count(), config.llm.scorer, kNoJudgement));
}

}  // namespace

nlohmann::json to_json(const LlmScores& scores) {
  const ScoreTable& table = scores.table;
  nlohmann::json told = {{"scorer", table.scorer}, {"pairs", table.size()}, {"users", table.scored_users()}};
  if (scores.audit) {
    told["unknown_rows"] = scores.unknown_rows;
    told["leakage"] = {{"held_out_candidates", scores.audit->held_out_candidates},
                       {"expected_by_chance", scores.audit->held_out_expected},
                       {"allowed", scores.audit->too_many()}};
  }
  return told;
}

LlmScores load_scores(const Config& config, const Split& split) {
  require_used(config, inapplicable_keys(config));
  LlmScores scores;
  ScoreTable& table = scores.table;
  if (config.llm.scorer == "file") {
    require(!config.llm.scores.empty(), "llm.scorer=file needs llm.scores, the path of the table");
    table = read_scores(config.llm.scores, split, config.llm.min_known);
    check_probes(table, split);
    scores.unknown_rows = table.unknown_rows;
    scores.audit = check_leaks(config, split, table);
    scores.hash = hash_scores(table);
    check_freshness(config, split, table);
  } else {
    CandidateOptions options;
    options.per_user = config.llm.candidates;
    options.prompt_history = config.llm.prompt_history;
    options.seed = config.seed;
    const ScorerInfo& scorer = find_scorer(config.llm.scorer);
    warn_of_missing_texts(config, *split.data);
    table = make_score_table(*split.data, scorer.score(split, plan_candidates(split, options)), scorer.name);
    check_probes(table, split);
    scores.hash = hash_scores(table);
  }
  if (config.llm.noise > 0) {
    add_noise(table, split, {config.llm.noise, config.llm.noise_slice, config.llm.noise_kind}, config.seed);
  }
  return scores;
}

}  // namespace sllmr
