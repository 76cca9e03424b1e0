// DLLM2Rec's importance-aware ranking distillation (arXiv 2405.00338, Section 3.2; formulas as in its
// release): the items that the LLM ranks first join the batch as positives, weighted by their rank, by the
// LLM's confidence and by whether the student would recommend them too. The LLM's list is the top of its
// score table, and the release's distance between what it wrote and an item is 1 - score.
#include <algorithm>
#include <cmath>

#include "host/guidance/guidance.h"
#include "kernels/dllm2rec_loss.h"
#include "kernels/exec/random.h"
#include "kernels/pair_sampler.h"

namespace sllmr {
namespace {

constexpr const char *kTop = "dllm2rec.top", *kWeight = "dllm2rec.weight", *kShare = "dllm2rec.share",
                     *kRank = "dllm2rec.rank", *kConfidence = "dllm2rec.confidence",
                     *kConsistency = "dllm2rec.consistency", *kRefresh = "dllm2rec.refresh",
                     *kQuirks = "dllm2rec.release_quirks";

/// The first `top` entries of every user's scores, best first.
struct TeacherLists {
  std::vector<std::int64_t> offsets{0};  // [users + 1]
  std::vector<Id> items;
  std::vector<float> scores;

  TeacherLists(const ScoreTable& table, const Split& split, std::size_t top) {
    std::vector<Id> touched;
    for (Id user = 0; user < split.data->users.rows(); ++user) {
      std::span<const Id> best = table.items_of(user);
      best = best.first(std::min(top, best.size()));
      touched = barred(split, user, best);
      touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
      // Whoever has no item left for a negative has no list.
      if (std::ssize(touched) == split.data->items.count()) best = {};
      items.insert(items.end(), best.begin(), best.end());
      const auto of_best = table.scores_of(user).first(best.size());
      scores.insert(scores.end(), of_best.begin(), of_best.end());
      offsets.push_back(std::ssize(items));
    }
  }

  /// What is no negative, ascending: the user's training items, and those of the list.
  static std::vector<Id> barred(const Split& split, Id user, std::span<const Id> list) {
    const auto train = split.train_items(user);
    std::vector<Id> out(train.begin(), train.end());
    out.insert(out.end(), list.begin(), list.end());
    std::sort(out.begin(), out.end());
    return out;
  }

  std::size_t begin(Id user) const {
    return static_cast<std::size_t>(offsets[static_cast<std::size_t>(user)]);
  }
  std::size_t end(Id user) const {
    return static_cast<std::size_t>(offsets[static_cast<std::size_t>(user) + 1]);
  }
  std::span<const Id> of(Id user) const {
    return std::span(items).subspan(begin(user), end(user) - begin(user));
  }
};

class Dllm2Rec final : public Guidance {
 public:
  explicit Dllm2Rec(const GuidanceSetup& setup)
      : Guidance(setup, {}, most_appended(setup)),
        top_(static_cast<int>(setup.config.part<std::int64_t>(kTop))),
        share_(setup.config.part<double>(kShare)),
        joins_(Share::of(share_)),
        lists_(*setup.table, setup.split, static_cast<std::size_t>(top_)),
        weights_(lists_.items.size()),
        consistent_(setup.context, lists_.items.size()),
        rows_(setup.context, static_cast<std::size_t>(most_appended(setup))) {
    weigh();
  }

  std::int64_t most_rows() const override { return setup_.batch + most_appended(setup_); }
  std::unique_ptr<BatchPlan::Own> make_own() const override { return std::make_unique<Rows>(); }
  std::vector<NamedBuffer> named_buffers() override {
    std::vector<NamedBuffer> named = Guidance::named_buffers();
    named.push_back({"dllm2rec.consistent", {std::ssize(lists_.items)}, &consistent_});
    return named;
  }
  void after_load() override { weigh(); }

  void look_at_model(std::uint32_t epoch, const ItemRanker& rank) override {
    if (setup_.config.part<double>(kConsistency) == 0) return;
    const std::vector<Id> users = users_in_turn(epoch);
    const int k = std::min(top_, static_cast<int>(setup_.split.data->items.count()));
    const std::vector<Id> best = rank(users, k);
    std::vector<std::int32_t> consistent = seen_;
    for (std::size_t row = 0; row < users.size(); ++row) {
      const auto length = static_cast<std::size_t>(k);
      const auto students = std::span(best).subspan(row * length, length);
      for (std::size_t at = lists_.begin(users[row]); at < lists_.end(users[row]); ++at) {
        consistent[at] = std::ranges::find(students, lists_.items[at]) != students.end() ? 1 : 0;
      }
    }
    consistent_.assign(setup_.context, std::span<const std::int32_t>(consistent));
    weigh();
  }

  void plan(BatchPlan& plan) override {
    std::vector<DistilledRow>& rows = static_cast<Rows&>(*plan.own).rows;
    rows.clear();
    for (std::int64_t k = 0; k < plan.count; ++k) {
      if (joins_.selects(static_cast<std::uint64_t>(plan.first + k))) {
        add_list(plan.rows[static_cast<std::size_t>(k)].user, plan.first + k, plan, rows);
      }
    }
  }

  void upload(const BatchPlan& plan) override {
    const std::vector<DistilledRow>& rows = static_cast<const Rows&>(*plan.own).rows;
    copy_to_device(setup_.context, rows_.data(), rows.data(), rows.size() * sizeof(DistilledRow));
  }

  void loss(const StepView& step) override {
    Guidance::loss(step);
    const std::int64_t n = std::ssize(static_cast<const Rows&>(*step.plan.own).rows);
    const double joining = share_ * static_cast<double>(step.head.rows);  // rows, on average
    run(setup_.context,
        DistillationHead{.logits = step.head.logits + step.head.rows,
                         .rows = rows_.data(),
                         .n = n,
                         .scale = static_cast<float>(setup_.config.part<double>(kWeight) / joining),
                         .gate = gate(),
                         .first_slot = step.head.rows,
                         .d_logits = step.head.d_logits + step.head.rows});
  }

 protected:
  void start_chunk(const Chunk& chunk) override { epoch_ = chunk.epoch; }

  nlohmann::json telemetry(const std::vector<double>& totals) override {
    const double lists = totals[kLists];
    const auto share = [&](int of, int in) {
      return totals[in] > 0 ? nlohmann::json(totals[of] / totals[in]) : nlohmann::json();
    };
    nlohmann::json out = {{"lists", lists},
                          {"loss", share(GateColumns::pair_hinge, kLists)},
                          {"first_weight", share(kFirstWeight, kLists)},
                          {"overlap", share(kConsistent, kEntries)}};
    // Nobody has looked at the student yet.
    if (epoch_ == 0 || setup_.config.part<double>(kConsistency) == 0) out["overlap"] = nullptr;
    if (lists > 0) require_converged(out["loss"]);
    return out;
  }

 private:
  struct Rows : BatchPlan::Own {
    std::vector<DistilledRow> rows;  // those that are appended
  };
  // Columns of the totals: lists that joined, the sum of the weights of their first items, their items, and
  // those of them that the student's lists have too. Sums of whole numbers and of floats in double precision
  // do not depend on where a run was resumed.
  static constexpr int kLists = GateColumns::pairs, kFirstWeight = GateColumns::pair_alpha,
                       kEntries = GateColumns::pair_weight, kConsistent = GateColumns::active;

  /// Rows that join a batch at most: any rows of an epoch hold as many lists as their share, or one more.
  static std::int64_t most_appended(const GuidanceSetup& setup) {
    const double lists = std::ceil(setup.config.part<double>(kShare) * static_cast<double>(setup.batch)) + 1;
    return static_cast<std::int64_t>(lists) * (setup.config.part<std::int64_t>(kTop) + 1);
  }

  /// Of the users with a list, those whose students' lists are made anew before the epoch.
  std::vector<Id> users_in_turn(std::uint32_t epoch) const {
    std::vector<Id> all;
    for (Id user = 1; user < setup_.split.data->users.rows(); ++user) {
      if (!lists_.of(user).empty()) all.push_back(user);
    }
    if (all.empty()) return all;
    const auto n = static_cast<std::size_t>(
        std::ceil(setup_.config.part<double>(kRefresh) * static_cast<double>(all.size())));
    std::rotate(all.begin(), all.begin() + static_cast<std::ptrdiff_t>((epoch - 1) * n % all.size()),
                all.end());
    all.resize(n);
    return all;
  }

  /// Weights of all lists, from what was last seen of the student.
  void weigh() {
    seen_ = consistent_.to_host(setup_.context);
    const Config& config = setup_.config;
    constexpr double kLeast = 1e-8;
    std::vector<double> rank, confidence;
    for (Id user = 0; user < setup_.split.data->users.rows(); ++user) {
      const std::size_t begin = lists_.begin(user), n = lists_.end(user) - begin;
      rank.resize(n);
      confidence.resize(n);
      double ranks = 0, confidences = 0, sum = 0;
      for (std::size_t k = 0; k < n; ++k) {
        ranks += rank[k] = std::exp(-static_cast<double>(k + 1));
        confidences += confidence[k] = std::exp(static_cast<double>(lists_.scores[begin + k]) - 1) + kLeast;
      }
      for (std::size_t k = 0; k < n; ++k) {
        rank[k] = config.part<double>(kRank) * rank[k] / ranks +
                  config.part<double>(kConfidence) * confidence[k] / confidences +
                  config.part<double>(kConsistency) * (seen_[begin + k] + kLeast);
        sum += rank[k];
      }
      for (std::size_t k = 0; k < n; ++k) weights_[begin + k] = static_cast<float>(rank[k] / sum);
    }
  }

  /// Of the user of a training row: the list, and a negative, which counts as much as all of it.
  void add_list(Id user, std::int64_t row, BatchPlan& plan, std::vector<DistilledRow>& rows) {
    const std::size_t begin = lists_.begin(user), end = lists_.end(user);
    if (begin == end) return;
    // The list may hold the probe, the last training item, which the history must not tell.
    const std::int32_t position = std::max(0, setup_.split.train_size[static_cast<std::size_t>(user)] - 1);
    for (std::size_t k = begin; k < end; ++k) {
      plan.rows.push_back({user, lists_.items[k], position});
      rows.push_back({weights_[k], 1, 0});
      count(kConsistent, seen_[k]);
    }
    plan.rows.push_back({user, negative(user, row), position});
    rows.push_back({1, -1, setup_.config.part<bool>(kQuirks) ? 1.0F : 0.0F});
    count(kLists, 1);
    count(kFirstWeight, static_cast<double>(weights_[begin]));
    count(kEntries, static_cast<double>(end - begin));
  }

  Id negative(Id user, std::int64_t row) const {
    const std::vector<Id> barred = TeacherLists::barred(setup_.split, user, lists_.of(user));
    const auto items = static_cast<std::uint32_t>(setup_.split.data->items.count());
    for (std::uint32_t block = 0;; ++block) {
      const Draw draw = philox(setup_.config.seed, epoch_, static_cast<std::uint64_t>(row),
                               Purpose::distillation_negative, block);
      for (const std::uint32_t word : draw.word) {
        const Id item = 1 + static_cast<Id>(below(word, items));
        if (!std::ranges::binary_search(barred, item)) return item;
      }
    }
  }

  int top_;
  double share_;
  Share joins_;
  TeacherLists lists_;
  std::vector<float> weights_;       // by entry of the lists; of a user 1 in all
  std::vector<std::int32_t> seen_;   // the same as consistent_
  Buffer<std::int32_t> consistent_;  // by entry: 1 where the student's list of this epoch has the item too
  Buffer<DistilledRow> rows_;        // of the step
  std::uint32_t epoch_ = 0;
};

void check(const Config& config) {
  require(
      config.part<double>(kRank) + config.part<double>(kConfidence) + config.part<double>(kConsistency) > 0,
      "method=dllm2rec weighs items by dllm2rec.rank, dllm2rec.confidence and dllm2rec.consistency, which "
      "are all 0: set one of them");
}

}  // namespace

GuidanceInfo dllm2rec_guidance() {
  return {.name = "dllm2rec",
          .summary = "ranking distillation: the LLM's best items as weighted positives beside one negative",
          .words = {"dllm2rec"},
          .keys = {{kTop, std::int64_t{10}, "items of the LLM's list, and of the student's", {}, 1, 1000},
                   {kWeight, 0.8, "weight of the distillation beside the base loss"},
                   {kShare, 0.125, "share of a batch's training rows whose user's list joins", {}, 1e-3, 1},
                   {kRank, 0.3, "how far an item's weight is its rank"},
                   {kConfidence, 0.5, "how far it is the LLM's score"},
                   {kConsistency, 0.1, "what an item gains that is in the student's list too"},
                   {kRefresh,
                    1.0,
                    "share of the users whose student's list each epoch makes anew, in turn",
                    {},
                    1e-3,
                    1},
                   {kQuirks, false, "the release's loss of a negative: -log sigmoid(1 - s)"}},
          .check = check,
          .in_micro_batches = false,
          .make = [](const GuidanceSetup& setup) -> std::unique_ptr<Guidance> {
            // A weight of 0 brings no rows either: they would change a batch norm's statistics.
            if (setup.config.part<double>(kWeight) == 0) return std::make_unique<Guidance>(setup);
            return std::make_unique<Dllm2Rec>(setup);
          },
          .columns = {{"distillation loss", "/loss"},
                      {"overlap", "/overlap"},
                      {"weight of rank 1", "/first_weight"},
                      {"lists", "/lists", false}}};
}

}  // namespace sllmr
