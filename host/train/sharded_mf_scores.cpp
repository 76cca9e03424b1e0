#include "host/train/sharded_mf_scores.h"

#include <algorithm>

#include "kernels/embedding.h"
#include "kernels/exec/interrupt.h"
#include "kernels/sharded_rows.h"

namespace sllmr {

std::vector<float> score_shared_rows(const Context& context, const Mf& model, std::span<const CtrRow> rows) {
  constexpr std::int64_t kAtOnce = 8192;
  Communicator& ranks = context.ranks();
  const Factors factors = *model.factors();
  const std::int64_t n = std::ssize(rows);
  const RankShare own = share_of(ranks, ranks.rank(), n);
  const std::int64_t most = (n + ranks.size() - 1) / ranks.size();
  std::vector<float> logits(rows.size());
  RowRequest users, items;
  for (std::int64_t begin = 0; begin < most; begin += kAtOnce) {
    on_all_ranks(ranks, [] { throw_if_interrupted(); });
    const std::int64_t first = std::min(own.end, own.first + begin),
                       count = std::min(own.end - first, kAtOnce);
    const auto some = rows.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    std::vector<Id> user_ids, item_ids;
    for (const CtrRow& row : some) {
      user_ids.push_back(row.user);
      item_ids.push_back(row.item);
    }
    users.plan(factors.shard, user_ids);
    items.plan(factors.shard, item_ids);
    users.ask(context);
    items.ask(context);
    const Tensor<float> user_rows = users.fetch(context, factors.users),
                        item_rows = items.fetch(context, factors.items);
    if (some.empty()) continue;
    for (std::size_t k = 0; k < some.size(); ++k) {
      user_ids[k] = users.number(k);
      item_ids[k] = items.number(k);
    }
    const auto of_user = Tensor<Id>::from(context, 1, count, user_ids),
               of_item = Tensor<Id>::from(context, 1, count, item_ids);
    const Tensor<float> scored(context, 1, count);
    run(context, DotRows{.users = user_rows,
                         .items = item_rows,
                         .user_ids = of_user.data(),
                         .item_ids = of_item.data(),
                         .n = count,
                         .out = scored.data()});
    copy_to_host(context, logits.data() + first, scored.data(), some.size() * sizeof(float));
  }
  gather_shares(ranks, n, 1, std::span(logits));
  return logits;
}

}  // namespace sllmr
