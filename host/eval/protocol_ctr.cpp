// The protocol `ctr`: each user's held-out item and one sampled negative, labelled, pooled over users.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "host/eval/ctr.h"
#include "host/eval/protocol.h"
#include "host/eval/slices.h"
#include "kernels/exec/error.h"

namespace sllmr {

namespace {

void check(const Config& config, const Split& split, Target target) {
  require(!ctr_rows(split, target, config.seed).empty(),
          "nothing to evaluate: no user has a row of the ctr protocol (users need at least 3 interactions)");
}

nlohmann::json evaluate(const Evaluation& each, std::ostream* predictions) {
  const std::vector<CtrRow> rows = ctr_rows(each.split, each.target, each.config.seed);
  const std::vector<float> logits = each.model.ctr_logits(rows);
  const CtrResult result = evaluate_ctr(each.split, rows, logits);
  if (predictions != nullptr) {
    const Dataset& data = *each.split.data;
    for (std::size_t k = 0; k < rows.size(); ++k) {
      *predictions << fmt::format("{}\t{}\t{}\t{}{}\n", data.users.token(rows[k].user),
                                  data.items.token(rows[k].item), static_cast<int>(rows[k].label), logits[k],
                                  slice_columns(each.split, rows[k].user, rows[k].item));
    }
  }
  return to_json(result);
}

}  // namespace

Protocol ctr_protocol() {
  return {.name = "ctr",
          .summary = "tell each user's held-out item from one sampled negative, rows of all users pooled",
          .own_keys = {},
          .fixed_negatives = true,
          .offers = [](const EvalConfig&) { return std::vector{Needs::labels}; },
          .counts = {"n", "positives"},
          .header = "user_id\titem_id\tlabel\tlogit\tcold\ttail",
          .check = check,
          .evaluate = evaluate};
}

}  // namespace sllmr
