// RLMRec-Con (Ren et al., WWW 2024): the vectors of users and items, as the backbone multiplies them, are
// aligned with profiles by contrast. RLMRec has an LLM write the profiles; here an item's is its text vector,
// and a user's the mean of those of the training items, without an LLM.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "host/guidance/guidance.h"
#include "host/text/vector_sums.h"
#include "kernels/exec/fnv.h"
#include "models/adam/adam.h"
#include "models/alignment/profile_alignment.h"
#include "models/registry.h"

namespace sllmr {
namespace {

constexpr const char *kWeight = "rlmrec.weight", *kTau = "rlmrec.tau", *kUsers = "rlmrec.users";

/// [users x width]: means of the training items' vectors; zero for a user without any.
std::vector<float> user_profiles(const Split& split, const TextVectors& vectors) {
  const auto width = static_cast<std::size_t>(vectors.width);
  std::vector<float> profiles;
  std::vector<double> sum(width);
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    std::fill(sum.begin(), sum.end(), 0.0);
    const auto train = split.train_items(user);
    add_vectors(vectors, train, std::span(sum));
    const double n = train.empty() ? 1 : static_cast<double>(train.size());
    for (const double x : sum) profiles.push_back(static_cast<float>(x / n));
  }
  return profiles;
}

/// The parameters of the profiles' map must not start from the numbers that the backbone's start from.
std::uint64_t own_seed(std::uint64_t seed) {
  Fnv<std::uint64_t> hash;
  hash.add_bytes("rlmrec");
  return seed ^ hash.value();
}

ProfileAlignmentOptions options_of(const GuidanceSetup& setup, const std::vector<float>& users) {
  const TextVectors& vectors = *setup.vectors;
  return {.profile_width = vectors.width,
          .users = users,
          .items = std::span(vectors.values).subspan(static_cast<std::size_t>(vectors.width)),
          .width = setup.config.model.width,
          .batch = setup.batch,
          .all_users = setup.config.part<std::string>(kUsers) == "all",
          .weight = setup.config.part<double>(kWeight),
          .temperature = setup.config.part<double>(kTau),
          .seed = own_seed(setup.config.seed)};
}

class RlmRec final : public Guidance {
 public:
  explicit RlmRec(const GuidanceSetup& setup)
      : Guidance(setup),
        alignment_(setup.context, options_of(setup, user_profiles(setup.split, *setup.vectors))),
        adam_(setup.context, alignment_.parameters(), {},
              {.learning_rate = setup.config.train.lr, .l2 = setup.config.train.l2}),
        steps_(setup.context, 1),
        ids_(setup.context, static_cast<std::size_t>(4 * setup.batch)) {}

  std::int64_t parameters() const override {
    std::int64_t sum = 0;
    for (const auto& part : alignment_.parameters().parts()) sum += part.size;
    return sum;
  }
  std::unique_ptr<BatchPlan::Own> make_own() const override { return std::make_unique<Rows>(); }

  void plan(BatchPlan& plan) override {
    Rows& rows = static_cast<Rows&>(*plan.own);
    const auto is_positive = [&](Id row) { return plan.targets[static_cast<std::size_t>(row)] == 1.0F; };
    const auto n = static_cast<std::size_t>(plan.count);
    std::vector<Id> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::stable_partition(order.begin(), order.end(), is_positive);
    rows.positives = std::ranges::count(plan.targets, 1.0F);
    rows.negatives = plan.count - rows.positives;
    rows.ids.assign(4 * n, 0);
    for (std::size_t k = 0; k < n; ++k) {
      const FeatureRow& row = plan.rows[static_cast<std::size_t>(order[k])];
      rows.ids[k] = order[k];
      rows.ids[n + static_cast<std::size_t>(order[k])] = static_cast<Id>(k);
      rows.ids[2 * n + k] = row.item - 1;
      rows.ids[3 * n + k] = row.user - 1;
    }
    count(kPositiveRows, static_cast<double>(rows.positives));
    count(kNegativeRows, static_cast<double>(rows.negatives));
  }

  void upload(const BatchPlan& plan) override {
    const std::vector<Id>& ids = static_cast<const Rows&>(*plan.own).ids;
    copy_to_device(setup_.context, ids_.data(), ids.data(), ids.size() * sizeof(Id));
  }

  void loss(const StepView& step) override {
    Guidance::loss(step);
    const Rows& rows = static_cast<const Rows&>(*step.plan.own);
    const std::int64_t n = step.plan.count;
    const Id* ids = ids_.data();
    step.d_vectors = alignment_.gradients(setup_.context,
                                          {.positives = rows.positives,
                                           .negatives = rows.negatives,
                                           .order = ids,
                                           .place = ids + n,
                                           .items = ids + 2 * n,
                                           .users = ids + 3 * n},
                                          step.backbone.vectors(step.saved), gate());
    adam_.begin(setup_.context, {});
    adam_.step(setup_.context, {});
  }

  std::vector<NamedBuffer> named_buffers() override {
    std::vector<NamedBuffer> named = Guidance::named_buffers();
    named.push_back(
        {"rlmrec.parameters", {alignment_.parameters().size()}, &alignment_.parameters().values()});
    for (NamedBuffer& each : adam_.named_buffers()) {
      each.name = "rlmrec." + each.name;
      named.push_back(std::move(each));
    }
    const std::int32_t steps[] = {adam_.steps()};
    steps_.assign(setup_.context, std::span<const std::int32_t>(steps));
    named.push_back({"rlmrec.steps", {1}, &steps_});
    return named;
  }
  void after_load() override { adam_.set_steps(setup_.context, steps_.to_host(setup_.context)[0]); }

 protected:
  nlohmann::json telemetry(const std::vector<double>& totals) override {
    const auto mean = [&](int column, int rows) {
      const double n = totals[static_cast<std::size_t>(rows)];
      return n > 0 ? nlohmann::json(totals[static_cast<std::size_t>(column)] / n) : nlohmann::json();
    };
    using Alignment = ProfileAlignment;
    nlohmann::json out = {{"user_loss", mean(Alignment::kUsers.loss, kPositiveRows)},
                          {"item_loss", mean(Alignment::kPositives.loss, kPositiveRows)},
                          {"negative_loss", mean(Alignment::kNegatives.loss, kNegativeRows)},
                          {"user_cosine", mean(Alignment::kUsers.cosine, kPositiveRows)},
                          {"item_cosine", mean(Alignment::kPositives.cosine, kPositiveRows)},
                          {"negative_cosine", mean(Alignment::kNegatives.cosine, kNegativeRows)}};
    for (const char* loss : {"user_loss", "item_loss", "negative_loss"}) {
      if (!out[loss].is_null()) require_converged(out[loss]);
    }
    return out;
  }

 private:
  struct Rows : BatchPlan::Own {
    std::int64_t positives = 0, negatives = 0;
    std::vector<Id> ids;  // the four lists of AlignedRows
  };
  // Columns of the totals.
  static constexpr int kPositiveRows = GateColumns::pairs, kNegativeRows = GateColumns::probes;

  ProfileAlignment alignment_;
  Adam<float> adam_;
  Buffer<std::int32_t> steps_;  // of adam_, for the checkpoint
  Buffer<Id> ids_;              // of the step
};

void check(const Config& config) {
  const BackboneInfo* backbone = find_backbone(config.model.name);
  if (backbone == nullptr || backbone->is_product) return;
  std::vector<std::string_view> products;
  for (const BackboneInfo& info : backbones()) {
    if (info.is_product) products.push_back(info.name);
  }
  throw Error(fmt::format(
      "method=rlmrec aligns the two vectors whose product is the logit, and that of model.name={} "
      "is none: use {}",
      config.model.name, fmt::join(products, " or ")));
}

}  // namespace

GuidanceInfo rlmrec_guidance() {
  return {
      .name = "rlmrec",
      .summary = "RLMRec: the vectors of users and items are aligned with those of their texts, by contrast",
      .words = {"rlmrec"},
      .reads = [](const Config&) { return GuidanceReads{.scores = false, .vectors = true}; },
      .keys = {{kWeight, 0.01, "weight of the alignment beside the base loss"},
               {kTau, 0.2, "temperature of the cosines", {}, 0.05, 100},
               {kUsers,
                std::string("all"),
                "whom a user is told from: all users, or those of the batch's positives",
                {"all", "batch"}}},
      .check = check,
      .in_micro_batches = false,
      .make = [](const GuidanceSetup& setup) -> std::unique_ptr<Guidance> {
        if (setup.config.part<double>(kWeight) == 0) return std::make_unique<Guidance>(setup);
        return std::make_unique<RlmRec>(setup);
      },
      .columns = {{"user cosine", "/user_cosine"},
                  {"item cosine", "/item_cosine"},
                  {"user loss", "/user_loss", false},
                  {"item loss", "/item_loss", false},
                  {"negative loss", "/negative_loss", false},
                  {"negative cosine", "/negative_cosine", false}}};
}

}  // namespace sllmr
