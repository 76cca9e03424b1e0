#include "experiments/run_settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "host/train/unused_keys.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

/// Of a setting: does any of its runs use it, and if not, why not?
struct Use {
  bool is_used = false;
  std::string reason;  // of the first run that has no use for it; empty: it is of no run
};

std::string_view key_of(std::string_view word) {
  return word.substr(0, word.find('='));
}

/// The configuration of `run`, without what it has no use for; `uses` are those of all settings.
Config load_run(const std::string& recipe, const std::vector<Settings>& settings, const RunSettings& run,
                std::vector<std::vector<Use>>& uses) {
  std::vector<std::string> words;
  for (const std::size_t place : run.from) {
    words.insert(words.end(), settings[place].words.begin(), settings[place].words.end());
  }
  words.insert(words.end(), run.own.begin(), run.own.end());
  Config config = load_config(recipe, words);
  const std::vector<UnusedKey> unused = unused_keys(config);
  const auto find = [&unused](const std::string& word) {
    return std::ranges::find(unused, key_of(word), &UnusedKey::key);
  };
  for (const std::size_t place : run.from) {
    for (std::size_t k = 0; k < settings[place].words.size(); ++k) {
      const auto found = find(settings[place].words[k]);
      Use& use = uses[place][k];
      use.is_used |= found == unused.end();
      if (found != unused.end() && use.reason.empty()) use.reason = found->reason;
    }
  }
  const auto dropped =
      std::erase_if(words, [&](const std::string& word) { return find(word) != unused.end(); });
  return dropped == 0 ? config : load_config(recipe, words);
}

}  // namespace

std::vector<Config> load_runs(const std::string& recipe, const std::vector<Settings>& settings,
                              const std::vector<RunSettings>& runs) {
  std::vector<std::vector<Use>> uses;
  for (const Settings& each : settings) uses.emplace_back(each.words.size());
  std::vector<Config> configs;
  for (const RunSettings& run : runs) configs.push_back(load_run(recipe, settings, run, uses));
  for (std::size_t place = 0; place < settings.size(); ++place) {
    for (std::size_t k = 0; k < uses[place].size(); ++k) {
      const Use& use = uses[place][k];
      require(use.is_used || use.reason.empty() || !settings[place].must_be_used,
              fmt::format("'{}' ({}) does not apply to any of its runs: {}", settings[place].words[k],
                          settings[place].where, use.reason));
    }
  }
  return configs;
}

std::vector<std::string> split_list(const std::vector<std::string>& texts, const std::string& option) {
  std::vector<std::string> parts;
  for (const std::string& text : texts) {
    int depth = 0;
    parts.emplace_back();
    for (const char c : text) {
      depth += c == '[' ? 1 : c == ']' ? -1 : 0;
      if (c == ',' && depth == 0) {
        parts.emplace_back();
      } else {
        parts.back() += c;
      }
    }
  }
  require(std::ranges::none_of(parts, &std::string::empty),
          fmt::format("{}: '{}' names nothing where a comma begins, ends or follows another: leave it out",
                      option, fmt::join(texts, ",")));
  return parts;
}

}  // namespace sllmr
