// The protocol `full`: each user's held-out item against the whole catalogue.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "host/eval/protocol.h"
#include "host/eval/ranking.h"
#include "host/eval/slices.h"

namespace sllmr {

namespace {

nlohmann::json evaluate(const Evaluation& each, std::ostream* predictions) {
  const EvalConfig& eval = each.config.eval;
  const RankingResult result = evaluate_full(each.context, each.model.scorer(each.target), each.split,
                                             each.target, eval.topk, eval.max_users, eval.lists);
  if (predictions != nullptr) {
    const Dataset& data = *each.split.data;
    for (const RankedRow& row : result.rows) {
      *predictions << fmt::format("{}\t{}\t{}\t{:.6f}{}\n", data.users.token(row.user),
                                  data.items.token(row.item), row.rank(), row.auc(),
                                  slice_columns(each.split, row.user, row.item));
    }
  }
  return to_json(result);
}

}  // namespace

Protocol full_protocol() {
  return {.name = "full",
          .summary = "rank each user's held-out item against the whole catalogue",
          .own_keys = {"eval.topk", "eval.max_users", "eval.lists"},
          .fixed_negatives = false,
          .offers =
              [](const EvalConfig& eval) {
                std::vector<Needs> available{Needs::ranks};
                if (eval.lists) available.push_back(Needs::lists);
                return available;
              },
          .counts = {"n"},
          .header = "user_id\titem_id\trank\tauc\tcold\ttail",
          .check = [](const Config& config, const Split& split,
                      Target target) { check_rankable(split, target, config.eval.max_users); },
          .evaluate = evaluate};
}

}  // namespace sllmr
