#include "experiments/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <regex>
#include <set>
#include <span>
#include <string_view>

#include "experiments/run_settings.h"
#include "experiments/runs.h"
#include "host/config/config.h"
#include "host/guidance/registry.h"
#include "kernels/exec/error.h"
#include "kernels/exec/fnv.h"

namespace sllmr {
namespace {

/// AUC by slice, ranking quality or calibration, and what guidance tells: those of them that are known.
std::vector<ShownFigure> usual_figures(const std::vector<std::string>& methods,
                                       std::span<const FigureName> known) {
  std::vector<ShownFigure> shown = auc_by_slice();
  shown.push_back({{"ndcg@10"}, "NDCG@10"});
  shown.push_back({{"log_loss"}, "log-loss"});
  std::erase_if(
      shown, [&](const ShownFigure& figure) { return std::ranges::find(known, figure.name) == known.end(); });
  for (const GuidanceColumn& column : guidance_columns(methods, true)) {
    shown.push_back({guidance_name(column), column.title});
  }
  return shown;
}

/// A row: a method with settings of its own.
struct Entry {
  std::string method;
  std::vector<std::string> words;  // key=value
};

/// "agreement:llm.lambda=0.5:gate.lr=0.1". A colon belongs to a value unless a key and "=" follow it.
Entry parse_entry(const std::string& text) {
  static const std::regex setting(":(?=[A-Za-z0-9_.]+=)");
  std::vector<std::string> parts(std::sregex_token_iterator(text.begin(), text.end(), setting, -1), {});
  Entry entry{parts.front(), {parts.begin() + 1, parts.end()}};
  require(entry.method.find_first_of(":=") == std::string::npos,
          fmt::format("--methods: '{}': expected METHOD or METHOD:key=value:key=value", text));
  std::set<std::string> keys;
  for (const std::string& word : entry.words) {
    require(keys.insert(word.substr(0, word.find('='))).second,
            fmt::format("--methods: '{}' sets a key twice", text));
  }
  return entry;
}

/// "agreement llm.lambda=0.5": however the value was spelled.
std::string name_of(const Entry& entry) {
  const Config config = load_config("", entry.words);
  std::string name = entry.method;
  for (const std::string& word : entry.words) {
    const std::string key = word.substr(0, word.find('='));
    name += fmt::format(" {}={}", key, value_text(config, key));
  }
  return name;
}

/// The name as part of a path. Names that lose something by it get their hash.
std::string folder_of(const std::string& name) {
  constexpr std::size_t kLongest = 100;
  std::string folder, plain;
  for (const char c : name) {
    const bool fits = std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr("._=+-", c) != nullptr;
    folder += c == ' ' ? '_' : fits ? c : '-';
    plain += c == ' ' || fits ? c : '-';
  }
  if (plain == name && folder.size() <= kLongest) return folder;
  Fnv<std::uint64_t> hash;
  hash.add_bytes(name);
  return fmt::format("{}_{:016x}", folder.substr(0, kLongest), hash.value());
}

std::vector<Entry> entries_of(const std::vector<std::string>& texts) {
  std::vector<Entry> entries;
  for (const std::string& text : split_list(texts, "--methods")) entries.push_back(parse_entry(text));
  return entries;
}

}  // namespace

RunPlan plan_comparison(const Comparison& options) {
  require(!options.out.empty(), "--out: name a folder");
  require_distinct(options.seeds, "--seeds");
  constexpr std::string_view kOwn[] = {"method", "seed", "run_dir"};
  require_not_overridden(options.overrides, kOwn, "--methods, --seeds and --out");
  RunPlan plan;
  const bool has_recipe = !options.recipe.empty();
  plan.table.title = has_recipe ? "Methods of " + options.recipe : "Methods";
  plan.table.recipe = options.recipe;
  plan.table.columns = {has_recipe ? std::filesystem::path(options.recipe).stem().string() : "settings"};
  plan.out = options.out;
  if (has_recipe) plan.inputs = {options.recipe};
  plan.force = options.force;
  plan.shard = Shard::parse(options.shard);
  std::vector<Settings> settings = {{kCommandLine, options.overrides}};
  std::vector<RunSettings> told;
  std::vector<std::string> methods;
  for (const Entry& entry : entries_of(options.methods)) {
    require_not_overridden(entry.words, kOwn, "--methods, --seeds and --out");
    const std::string name = name_of(entry);
    const std::size_t row = plan.table.rows.size();
    plan.table.rows.push_back(name);
    methods.push_back(entry.method);
    settings.push_back({fmt::format("--methods, '{}'", name), entry.words});
    for (const int seed : options.seeds) {
      told.push_back({{0, settings.size() - 1},
                      {"method=" + entry.method, fmt::format("seed={}", seed),
                       fmt::format("run_dir={}/{}_{}", options.out, folder_of(name), seed)}});
      plan.runs.push_back({row, 0, {}});
    }
  }
  require_distinct(plan.table.rows, "--methods");
  const std::vector<Config> configs = load_runs(options.recipe, settings, told);
  for (std::size_t k = 0; k < configs.size(); ++k) {
    plan.runs[k].config = configs[k];
    const GuidanceReads reads = reads_of(configs[k]);
    if (!plan.table.baseline && !reads.scores && !reads.vectors) plan.table.baseline = plan.runs[k].row;
  }
  const std::vector<FigureName> known = figure_names(plan.runs);
  if (options.metrics.empty()) {
    plan.table.shown = usual_figures(methods, known);
    return plan;
  }
  const std::vector<std::string> metrics = split_list(options.metrics, "--metrics");
  require_distinct(metrics, "--metrics");
  for (const std::string& metric : metrics) show_figure(plan.table, metric, known, "--metrics");
  return plan;
}

}  // namespace sllmr
