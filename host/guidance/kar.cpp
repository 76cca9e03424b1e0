// KAR (Xi et al., RecSys 2024) as LLM-CF's authors compare it: what an encoder says of the user and of the
// item, through a hybrid-expert adaptor, as one more input of the backbone. KAR has an LLM write both texts;
// with vectors of the items' own texts, and their mean over the history for the user, this is KAR-text.
#include "models/extra/expert_adaptor.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <span>

#include "host/guidance/guidance.h"
#include "host/text/written_vectors.h"

namespace sllmr {
namespace {

constexpr const char *kScale = "kar.scale", *kHidden = "kar.hidden", *kShared = "kar.shared",
                     *kOwn = "kar.own", *kDropout = "kar.dropout", *kUsers = "kar.user_vectors",
                     *kAllowLeak = "llm.allow_leak";

/// Without the vectors.
ExpertAdaptorOptions options_of(const Config& config) {
  const auto& hidden = config.part<std::vector<std::int64_t>>(kHidden);
  return {.vectors = {},
          .users = {},
          .hidden = {hidden.begin(), hidden.end()},
          .shared = static_cast<int>(config.part<std::int64_t>(kShared)),
          .own = static_cast<int>(config.part<std::int64_t>(kOwn)),
          .dropout = config.part<double>(kDropout)};
}

/// Throws Error for users' texts that no row of training may read, or that rows cannot tell from such.
void require_reach(const std::string& path, const Config& config, const Dataset& data,
                   std::span<const std::int32_t> least) {
  const auto longest = std::ranges::max_element(
      least, {}, [](std::int32_t n) { return n == std::numeric_limits<std::int32_t>::max() ? 0 : n; });
  require(*longest <= config.data.max_history,
          fmt::format("kar.user_vectors={}: a text knows {} interactions of its user, and a row tells by "
                      "data.max_history={} at most how far it has come; write texts of fewer (sllmr llm ask "
                      "--history {}), or set llm.allow_leak=true",
                      path, *longest, config.data.max_history, config.data.max_history));
  const Split split = leave_one_out(data);
  const std::vector<CtrRow> rows = ctr_train_rows(split, config.seed);
  require(
      std::ranges::any_of(
          rows, [&](const CtrRow& row) { return row.position >= least[static_cast<std::size_t>(row.user)]; }),
      fmt::format("kar.user_vectors={}: no row of training comes after what its user's text knows, so all "
                  "would read what they are to foretell; write texts of fewer interactions (sllmr llm ask "
                  "--history), or set llm.allow_leak=true",
                  path));
}

/// By user, how many interactions a row must have seen to read the text; of users without one, no history is
/// long enough.
std::vector<std::int32_t> least_of(const std::string& path, const Config& config, const Dataset& data,
                                   const WrittenVectors& written) {
  std::vector<std::int32_t> least(static_cast<std::size_t>(data.users.rows()),
                                  std::numeric_limits<std::int32_t>::max());
  for (const TextSubject& of : written.subjects) {
    least[static_cast<std::size_t>(of.user)] = config.llm.allow_leak ? 0 : of.position;
  }
  if (!config.llm.allow_leak) require_reach(path, config, data, least);
  return least;
}

UserVectors users_of(const std::string& path, const Config& config, const ExtraSources& sources) {
  const Dataset& data = *sources.data;
  const WrittenVectors written = load_written_vectors(path, Subject::user, data);
  require_same_space(written, "kar.user_vectors=" + path, sources.vectors.width, sources.encoder);
  const auto users = static_cast<std::size_t>(data.users.rows()),
             size = static_cast<std::size_t>(written.width);
  std::vector<float> values(users * size);
  for (std::size_t k = 0; k < written.subjects.size(); ++k) {
    const auto user = static_cast<std::size_t>(written.subjects[k].user);
    std::copy_n(written.values.begin() + static_cast<std::ptrdiff_t>(k * size), size,
                values.begin() + static_cast<std::ptrdiff_t>(user * size));
  }
  std::vector<std::int32_t> least = least_of(path, config, data, written);
  return {{written.width, std::make_shared<const std::vector<float>>(std::move(values))},
          std::make_shared<const std::vector<std::int32_t>>(std::move(least))};
}

void check_users(const Config& config, const Split& split, const TextVectors* vectors) {
  const auto& path = config.part<std::string>(kUsers);
  const WrittenVectors written = load_written_vectors(path, Subject::user, *split.data);
  if (vectors != nullptr)
    require_same_space(written, "kar.user_vectors=" + path, vectors->width, encoder_told(vectors->origin));
  least_of(path, config, *split.data, written);
}

}  // namespace

GuidanceInfo kar_guidance() {
  constexpr double kMostUnits = 4096, kMostExperts = Experts<float>::kMax;
  return {.name = "kar",
          .summary = "KAR: vectors of the history's and the item's texts, through experts, as one more input",
          .words = {"kar"},
          .reads = [](const Config&) { return GuidanceReads{.scores = false, .vectors = true}; },
          .files =
              [](const Config& config) {
                const auto& path = config.part<std::string>(kUsers);
                const bool reads = !path.empty() && config.part<double>(kScale) != 0;
                return reads ? std::vector<std::string>{path} : std::vector<std::string>();
              },
          .check_files = check_users,
          .keys = {{kScale, 1.0, "factor of the vectors, which have norm 1; 0 leaves them out", {}, 0, 1e3},
                   {kHidden,
                    std::vector<std::int64_t>{128},
                    "units of an expert's layers below its output",
                    {},
                    1,
                    kMostUnits},
                   {kShared, std::int64_t{2}, "experts that both towers share", {}, 0, kMostExperts},
                   {kOwn, std::int64_t{3}, "experts of each tower alone", {}, 0, kMostExperts},
                   {kDropout, 0.1, "dropout behind every layer of an expert", {}, 0, 0.99},
                   {kUsers, std::string(),
                    "vectors of texts about users (sllmr llm embed --texts), which rows that come after what "
                    "the text knows read instead of the history's mean"}},
          .unused =
              [](const Config& config, std::string_view key) {
                if (key == kAllowLeak && !config.part<std::string>(kUsers).empty()) return std::string();
                return "method=" + config.method + " has no use for it";
              },
          .check = [](const Config& config) { require_experts(options_of(config)); },
          .make = [](const GuidanceSetup& setup) { return std::make_unique<Guidance>(setup); },
          .extra = [](const Config& config,
                      const ExtraSources& sources) -> std::shared_ptr<const ExtraVectorMaker> {
            const double scale = config.part<double>(kScale);
            if (scale == 0) return nullptr;
            ExpertAdaptorOptions options = options_of(config);
            options.vectors = sources.vectors.times(scale);
            if (const auto& path = config.part<std::string>(kUsers); !path.empty())
              options.users = users_of(path, config, sources).times(scale);
            return expert_adaptor(options);
          }};
}

}  // namespace sllmr
