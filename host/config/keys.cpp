// The table of config keys: names, types, ranges, documentation.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "host/config/key_kinds.h"
#include "host/config/run_figure.h"
#include "host/data/date_range.h"

namespace sllmr {
namespace {

using namespace keys;
using Value = ConfigValue;

/// Stored in Config::parts, for which `index` of the variant says the type.
Key part_key(const PartKey& part) {
  const auto get = [&part](const Config& config) {
    const auto found = config.parts.find(part.name);
    return found == config.parts.end() ? part.standard : found->second;
  };
  const auto fits = [&part](const Value& value) {
    const auto in_range = [&part](double number) { return number >= part.low && number <= part.high; };
    if (const auto* real = std::get_if<double>(&value)) return in_range(*real);
    if (const auto* whole = std::get_if<std::int64_t>(&value)) return in_range(static_cast<double>(*whole));
    if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value)) {
      return !list->empty() && std::ranges::all_of(*list, [&](std::int64_t each) {
        return in_range(static_cast<double>(each));
      });
    }
    const auto* text = std::get_if<std::string>(&value);
    return !text || part.choices.empty() || std::ranges::find(part.choices, *text) != part.choices.end();
  };
  const auto set = [&part, fits](Config& config, Value value) {
    if (const auto* whole = std::get_if<std::int64_t>(&value);
        whole && std::holds_alternative<double>(part.standard)) {
      value = static_cast<double>(*whole);
    }
    if (value.index() != part.standard.index() || !fits(value)) return false;
    config.parts.insert_or_assign(part.name, std::move(value));
    return true;
  };
  std::string expects = "a string";
  if (std::holds_alternative<bool>(part.standard)) expects = "true or false";
  if (std::holds_alternative<double>(part.standard)) {
    expects = fmt::format("a number in [{}, {}]", part.low, part.high);
  }
  if (std::holds_alternative<std::int64_t>(part.standard)) {
    expects = fmt::format("an integer in [{}, {}]", part.low, part.high);
  }
  if (std::holds_alternative<std::vector<std::int64_t>>(part.standard)) {
    expects = fmt::format("a non-empty array of integers in [{}, {}], as [128, 64]", part.low, part.high);
  }
  if (!part.choices.empty()) expects = fmt::format("one of {}", fmt::join(part.choices, ", "));
  return {part.name, expects, part.doc, get, set, part.choices};
}

// A key is spelled once: its name is the path of its member.
// clang-format off
#define SLLMR_KEY(path) #path, [](auto& config) -> auto& { return config.path; }
// clang-format on

// Far beyond what is of use. They keep every product of two layers' sizes, also of seven fields' embeddings
// side by side, below 2^31; what memory holds may be less.
constexpr int kMostWidth = 4096, kMostUnits = 32768, kMostRows = 1 << 24;

/// A date or a number, kept as it is written.
template <class Member>
Key time_bound(const std::string& name, Member member, const std::string& doc) {
  Key key = text(name, member, doc);
  key.expects = "a date such as \"2018-01-31\", or a number";
  key.set = [set_text = key.set](Config& config, const Value& value) {
    std::string written;
    if (const auto* given = std::get_if<std::string>(&value)) written = *given;
    if (const auto* whole = std::get_if<std::int64_t>(&value)) written = fmt::format("{}", *whole);
    if (const auto* real = std::get_if<double>(&value)) written = fmt::format("{}", *real);
    return (written.empty() || parse_time_bound(written)) && set_text(config, written);
  };
  return key;
}

/// The choices of a list such as kUncertainties, `member` of which is the enumerator.
template <class Info, std::size_t n, class Enum>
std::vector<std::pair<std::string, Enum>> names_of(const Info (&list)[n], Enum Info::*member) {
  std::vector<std::pair<std::string, Enum>> names;
  for (const Info& info : list) names.emplace_back(info.name, info.*member);
  return names;
}

/// "all: everywhere; warm: of warm users".
template <class Info, std::size_t n>
std::string summaries_of(const Info (&list)[n]) {
  std::vector<std::string> lines;
  for (const Info& info : list) lines.push_back(fmt::format("{}: {}", info.name, info.summary));
  return fmt::format("{}", fmt::join(lines, "; "));
}

std::vector<Key> own_keys() {
  return {
      text(SLLMR_KEY(method),
           "how the LLM guides: none, global, a gate objective, a gating rule, or another method"),
      integer(SLLMR_KEY(seed), 0, "seed of every random draw"),
      text(SLLMR_KEY(run_dir), "folder of the run, new or with --resume; needed"),
      choice(
          SLLMR_KEY(device),
          {{"auto", Config::Device::automatic}, {"cpu", Config::Device::cpu}, {"cuda", Config::Device::cuda}},
          "where to train; auto: cuda where there is one"),
      integer(SLLMR_KEY(threads), 0, "CPU threads; 0: all", 1024),
      choice(
          SLLMR_KEY(transport),
          {{"auto", Transport::automatic}, {"nccl", Transport::nccl}, {"host", Transport::host}},
          "how the GPUs of several ranks reach each other: NCCL or the host's memory; auto: NCCL where every "
          "rank has libnccl.so.2 and a GPU of its own"),

      text(SLLMR_KEY(data.path), "interactions: a file, a folder, or a prefix such as data/beauty"),
      text(SLLMR_KEY(data.format), "auto, or the name of an importer"),
      text(SLLMR_KEY(data.items), "item file, where it does not lie beside the interactions"),
      text(SLLMR_KEY(data.keep),
           "rows that count: auto (label, is_click or click > 0), all, or conditions such as rating >= 4"),
      number(SLLMR_KEY(data.min_rating), non_negative,
             "least rating of a row that counts, where data.keep is auto; 0: any"),
      choice(SLLMR_KEY(data.negatives), {{"shown", Negatives::shown}, {"drawn", Negatives::drawn}},
             "negatives where the data say what was shown and not taken: that, or draws alone"),
      choice(SLLMR_KEY(data.duplicates),
             {{"error", Duplicates::error},
              {"first", Duplicates::first},
              {"last", Duplicates::last},
              {"keep", Duplicates::keep}},
             "what to do with rows of the same user, item and time, and items described twice"),
      time_bound(SLLMR_KEY(data.from),
                 "first day of the interactions (UTC), or the first time, in the unit of the data"),
      time_bound(SLLMR_KEY(data.to), "last day of the interactions, or the last time"),
      integer(SLLMR_KEY(data.core), 0,
              "users and items with fewer interactions are left out, again and again until there are none; "
              "0: all stay"),
      choice(
          SLLMR_KEY(data.split),
          {{"auto", SplitSource::automatic},
           {"leave_one_out", SplitSource::leave_one_out},
           {"last_item", SplitSource::last_item},
           {"given", SplitSource::given}},
          "each user's last two items, or the last one alone, or as NAME.train.inter, .valid and .test have "
          "it; auto: as the files"),
      number(SLLMR_KEY(data.min_described), share,
             "least share of the items that must have a title or attributes"),
      integer(SLLMR_KEY(data.cold_history), 0, "a user with fewer training interactions is cold"),
      number(SLLMR_KEY(data.tail_share), share, "share of the items, least popular first, that is the tail"),
      integer(SLLMR_KEY(data.max_history), 1, "items of the history that a deep backbone sees, the latest"),
      flag(SLLMR_KEY(data.allow_missing_attributes),
           "train a deep backbone on items without brand and categories: those fields stay empty"),

      text(SLLMR_KEY(model.name), "backbone"),
      integer(SLLMR_KEY(model.width), 1, "embedding width", kMostWidth),
      number(SLLMR_KEY(model.init_std), non_negative, "standard deviation of the initial embeddings (mf)"),
      flag(SLLMR_KEY(model.item_bias),
           "mf: the last of the width is a bias of the item, under the L2 penalty as the rest"),
      number_or_auto(
          SLLMR_KEY(model.embedding_std), positive,
          "standard deviation of the fields' initial embeddings (deep backbones); auto: that of their "
          "papers' code"),
      integers(SLLMR_KEY(model.hidden), Ascending::no, 16, kMostUnits, "units of the deep part's layers"),
      number(SLLMR_KEY(model.dropout), dropout_range, "dropout of the deep part"),
      flag(SLLMR_KEY(model.user_id),
           "the user's id is a feature; false: the user is known by the history alone"),
      choice(SLLMR_KEY(model.cross), {{"mixture", CrossKind::mixture}, {"full", CrossKind::full}},
             "DCNv2: low-rank experts, or one matrix a layer"),
      flag(SLLMR_KEY(model.frozen_bias), "LLM-CF's quirk: DeepFM's and xDeepFM's bias is never trained"),
      flag(SLLMR_KEY(model.relu_deep_logit), "LLM-CF's quirk: xDeepFM's deep logit passes a ReLU"),

      choice(SLLMR_KEY(train.loss),
             {{"bpr", BaseLoss::bpr}, {"bce", BaseLoss::bce}, {"clamped_bce", BaseLoss::clamped_bce}},
             "pairwise, binary cross-entropy, or LLM-CF's on clamped probabilities"),
      choice(SLLMR_KEY(train.mode),
             {{"fused", TrainConfig::Mode::fused}, {"exact", TrainConfig::Mode::exact}},
             "asynchronous in-place updates, or exact mini-batches"),
      choice(SLLMR_KEY(train.optimizer), names_of(kOptimizers, &OptimizerInfo::kind),
             "update rule of the backbone, see sllmr optimizers"),
      number(SLLMR_KEY(train.lr), positive, "learning rate of the backbone"),
      number(SLLMR_KEY(train.l2), non_negative, "L2 penalty"),
      number_or_auto(SLLMR_KEY(train.embedding_l2), non_negative,
                     "L2 penalty of the embeddings of deep backbones; auto: train.l2"),
      number(SLLMR_KEY(train.lr_decay), factor,
             "what the learning rate is multiplied by after each validation without a gain, down to 1e-6"),
      integer(SLLMR_KEY(train.epochs), 0, "passes over the training rows"),
      integer(SLLMR_KEY(train.batch_size), 1, "rows of a mini-batch (exact mode)", kMostRows),
      integer(SLLMR_KEY(train.micro_batches), 1,
              "deep backbones compute a mini-batch in so many parts (1, 2, 4, ... 64; each with a batch norm "
              "of its own), whose gradients are summed in one order; under mpirun each rank takes its share",
              64),
      number(SLLMR_KEY(train.shard_above), non_negative,
             "several ranks share out the rows of users, items, brands or categories whose embeddings take "
             "more MB than this with Adam's state; smaller tables every rank keeps whole (deep backbones)"),
      integer(SLLMR_KEY(train.chunk_rows), 1,
              "rows between two updates of the gate (fused mode, deep backbones)", std::int64_t{1} << 40),
      integer(SLLMR_KEY(train.block_rows), 0,
              "mf's kernels take this many rows of neighbouring users together, in a shuffled order, so that "
              "their numbers stay in the cache (4096 where the tables fit none); 0: all rows are shuffled",
              std::int64_t{1} << 40),
      number(SLLMR_KEY(train.negative_power), share,
             "negatives are drawn by how often training has the item, at least once, to this power; 0: "
             "uniformly"),
      flag(SLLMR_KEY(train.cuda_graph), "deep backbones on CUDA: the launches of a step as one CUDA graph"),
      integer(SLLMR_KEY(train.eval_every), 0,
              "epochs between two validations, the best of which is kept; 0: none"),
      integer(SLLMR_KEY(train.patience), 0, "stop after this many validations without a gain; 0: never"),
      integer(
          SLLMR_KEY(train.checkpoint_every), 0,
          "epochs between two checkpoints; 0: as time passes, so that they take a twentieth of it at most"),

      text(SLLMR_KEY(llm.scorer), "who scores candidates; file: read llm.scores"),
      text(SLLMR_KEY(llm.scores), "file of offline scores (llm.scorer = \"file\")"),
      integer(SLLMR_KEY(llm.candidates), 2, "scored items of a user, the probe among them"),
      integer(SLLMR_KEY(llm.prompt_history), 1, "training interactions that the scorer sees"),
      number(SLLMR_KEY(llm.lambda), non_negative, "weight of the LLM loss"),
      number(SLLMR_KEY(llm.margin), non_negative, "margin of the pairwise hinge, in logits"),
      text(SLLMR_KEY(llm.penalty),
           "how a pair pulls the model, see sllmr gates list; auto: as the objective asks"),
      choice(SLLMR_KEY(llm.pairs), {{"sampled", PairChoice::sampled}, {"largest", PairChoice::largest}},
             "a user's pairs: drawn, or of largest score difference"),
      integer(SLLMR_KEY(llm.largest_pairs), 1, "pairs kept of a user (llm.pairs = \"largest\")"),
      number(SLLMR_KEY(llm.pair_rate), share, "share of the training rows that draw a pair"),
      integer(SLLMR_KEY(llm.max_pairs_per_batch), 0, "most pairs of a mini-batch; 0: no limit (exact mode)"),
      number(SLLMR_KEY(llm.noise), share, "share of the scores that noise replaces"),
      choice(SLLMR_KEY(llm.noise_slice), names_of(kNoiseSlices, &NoiseSliceInfo::slice),
             "which scores; " + summaries_of(kNoiseSlices)),
      choice(SLLMR_KEY(llm.noise_kind), names_of(kNoiseKinds, &NoiseKindInfo::kind),
             "what replaces them; " + summaries_of(kNoiseKinds)),

      choice(SLLMR_KEY(llm.stale), {{"warn", LlmConfig::Stale::warn}, {"refuse", LlmConfig::Stale::refuse}},
             "what to do where the data have moved on since the table was made"),
      number(SLLMR_KEY(llm.stale_weight), share,
             "share of the users who have interacted since whose scores are kept (drawn)"),
      number(SLLMR_KEY(llm.max_age_days), non_negative,
             "a table older than this is stale too; 0: any age will do"),
      flag(SLLMR_KEY(llm.allow_leak),
           "train with a table whose candidates hold more of the held-out items than chance puts there, or "
           "with "
           "texts of users that know what rows foretell"),
      number(SLLMR_KEY(llm.min_known), share,
             "least share of a table's rows that must name users and items of the data"),

      text(SLLMR_KEY(llm.encoder), "who makes the vectors of items' texts; file: read llm.vectors"),
      text(SLLMR_KEY(llm.vectors), "file of text vectors (llm.encoder = \"file\")"),
      integer(SLLMR_KEY(llm.vector_width), 1, "width of the vectors (llm.encoder = \"tfidf\")", kMostWidth),

      text(SLLMR_KEY(gate.rule), "gating rule; auto: as the objective asks"),
      text(SLLMR_KEY(gate.objective), "what the gate learns from"),
      choice(SLLMR_KEY(gate.sides),
             {{"auto", GateConfig::Sides::automatic},
              {"mean", GateConfig::Sides::mean},
              {"min", GateConfig::Sides::least}},
             "a pair is believed as its two items on average, or as the lesser; auto: as the objective asks"),
      choice(
          SLLMR_KEY(gate.probes),
          {{"auto", GateConfig::Probes::automatic},
           {"any", GateConfig::Probes::any},
           {"matched", GateConfig::Probes::matched}},
          "whom a probe is compared with: any candidate, or those about as popular; auto: as the objective "
          "asks"),
      choice(SLLMR_KEY(gate.uncertainty), names_of(kUncertainties, &UncertaintyInfo::kind),
             "the backbone's uncertainty signal, see sllmr gates list"),
      integer(SLLMR_KEY(gate.mc_passes), 2,
              "forward passes with dropout of a step (gate.uncertainty=mc_dropout)", 256),
      number(SLLMR_KEY(gate.lr), positive, "learning rate of the gate"),
      number(SLLMR_KEY(gate.probe_rate), share, "share of the rows with a pair that draw a probe pair too"),
      number_or_run(SLLMR_KEY(gate.mean_alpha), share, mean_weight_of_run,
                    "mean gate value of an item (rule random), or a run whose mean weight it is to be"),
      number(SLLMR_KEY(gate.price), share, "agreement beyond chance that opens the gate"),
      number(SLLMR_KEY(gate.budget_weight), non_negative, "weight of the budget term (objective budget)"),
      number(SLLMR_KEY(gate.budget_target), share, "mean gate value that the budget asks for"),
      number(SLLMR_KEY(gate.skip_below), share,
             "deep backbones leave out pairs whose gate is below this whatever the uncertainty"),

      text(SLLMR_KEY(eval.protocol),
           "full: rank the whole catalogue; ctr: pooled AUC over one sampled negative a positive"),
      integers(SLLMR_KEY(eval.topk), Ascending::yes, 64, largest_of<int>(),
               "cut-offs of the ranking metrics (protocol full)"),
      integer(SLLMR_KEY(eval.max_users), 0,
              "rank this many users only, evenly spread; 0: all (protocol full)"),
      flag(SLLMR_KEY(eval.lists),
           "also the metrics of top-K lists: coverage, gini, popularity, diversity (protocol full)"),
      text(SLLMR_KEY(eval.monitor),
           "metric, over all rows, by which validations choose the best epoch: auc, ndcg@10, log_loss, ..."),
      choice(SLLMR_KEY(eval.monitor_on),
             {{"validation", EvalConfig::MonitorOn::validation}, {"test", EvalConfig::MonitorOn::test}},
             "rows that choose the best epoch; test: as some published figures were made, which are too good "
             "by that"),
  };
}

}  // namespace

const std::vector<Key>& key_table() {
  static const std::vector<Key> table = [] {
    std::vector<Key> keys = own_keys();
    for (const PartKey& part : part_keys()) keys.push_back(part_key(part));
    return keys;
  }();
  return table;
}

}  // namespace sllmr
