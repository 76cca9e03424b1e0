#include "host/ask/thought_markers.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "host/base/lower_case.h"

namespace sllmr::thoughts {
namespace {

constexpr std::size_t kLongestTag = 256;  // with attributes
constexpr std::string_view kDetails = "details", kFence = "fence";

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Markers that are always written the same way.
struct Fixed {
  std::string_view text;
  Marker::Kind kind;
  std::string_view family;
};
constexpr auto kFixed = std::to_array<Fixed>({
    {"\xE2\x97\x81think\xE2\x96\xB7", Marker::Kind::open, "kimi"},
    {"\xE2\x97\x81/think\xE2\x96\xB7", Marker::Kind::close, "kimi"},
    {"<|begin_of_thought|>", Marker::Kind::open, "thought"},
    {"<|end_of_thought|>", Marker::Kind::close, "thought"},
    {"<|begin_of_thinking|>", Marker::Kind::open, "thinking"},
    {"<|end_of_thinking|>", Marker::Kind::close, "thinking"},
    {"<|START_THINKING|>", Marker::Kind::open, "cohere"},
    {"<|END_THINKING|>", Marker::Kind::close, "cohere"},
    {"<|inner_prefix|>", Marker::Kind::open, "inner"},
    {"<|inner_suffix|>", Marker::Kind::close, "inner"},
    {"<|thinking|>", Marker::Kind::open, "thinking token"},
    {"<|/thinking|>", Marker::Kind::close, "thinking token"},
    {"</|thinking|>", Marker::Kind::close, "thinking token"},
    {"<|think|>", Marker::Kind::open, "think token"},
    {"<|/think|>", Marker::Kind::close, "think token"},
    {"<|channel>thought", Marker::Kind::open, "gemma"},
    {"<channel|>", Marker::Kind::close, "gemma"},
    {"<unused94>", Marker::Kind::open, "medgemma"},
    {"<unused95>", Marker::Kind::close, "medgemma"},
    {"<|end|>", Marker::Kind::end, ""},
    {"<|return|>", Marker::Kind::end, ""},
    {"<|call|>", Marker::Kind::end, ""},
    {"<|start|>", Marker::Kind::end, ""},
    {"Here is my thought process:", Marker::Kind::open, "granite"},
    {"Here is my response:", Marker::Kind::close, "granite"},
    {"Here's my thought process:", Marker::Kind::open, "granite"},
    {"Here's my response:", Marker::Kind::close, "granite"},
});
constexpr std::string_view kChannel = "<|channel|>", kMessage = "<|message|>";

Marker::Kind channel_kind(std::string_view name) {
  return name == "final" ? Marker::Kind::answer : Marker::Kind::aside;
}

/// ```thinking at the beginning of a line, and, `within` such a block, its end.
std::optional<Marker> fence_at(std::string_view text, std::size_t at, bool within) {
  if (!text.substr(at).starts_with("```") || (at > 0 && text[at - 1] != '\n')) return std::nullopt;
  const std::size_t name = at + 3;
  const std::size_t end = std::min(text.find('\n', name), text.size());
  std::string word = lower_case(text.substr(name, end - name));
  while (!word.empty() && is_space(word.back())) word.pop_back();
  if (within ? !word.empty() : !is_thought(word)) return std::nullopt;
  return Marker{at, end, within ? Marker::Kind::close : Marker::Kind::open, std::string(kFence)};
}

/// <name>, </name>, <name attribute="x">, [NAME]; also where the text ends within the name's tag. Of
/// <details> only what is of the type "reasoning".
std::optional<Marker> tag_at(std::string_view text, std::size_t at) {
  const std::size_t begin = at;
  const bool escaped = text.substr(at, 4) == "&lt;", bracket = text[at] == '[';
  at = skip_spaces(text, at + (escaped ? 4 : 1));
  const bool closes = at < text.size() && text[at] == '/';
  if (closes) at = skip_spaces(text, at + 1);
  const std::size_t name = at;
  while (at < text.size() && at - name < 32 && (is_letter(text[at]) || text[at] == '_' || text[at] == ':'))
    ++at;
  std::string word = lower_case(text.substr(name, at - name));
  const bool details = word == kDetails && !bracket;
  if (!is_thought(word) && !details) return std::nullopt;
  Marker marker{begin, text.size(), closes ? Marker::Kind::close : Marker::Kind::open, std::move(word)};
  if (bracket) marker.family += ']';
  if (at == text.size()) return details ? std::nullopt : std::optional(marker);
  const std::string_view stop = escaped ? "&gt;" : bracket ? "]" : ">", rest = text.substr(at, kLongestTag);
  const std::size_t until = rest.find(stop);
  if (until == rest.npos) return std::nullopt;
  const std::string_view between = rest.substr(0, until);
  const bool blank = skip_spaces(between, 0) == between.size();
  // "[think about it]" is prose, and <think/> holds nothing.
  const bool attributes = !bracket && !blank && is_space(between[0]) && between.find('=') != between.npos &&
                          between.find('<') == between.npos && !between.ends_with('/');
  if (!blank && !attributes) return std::nullopt;
  if (details && !closes && between.find("reasoning") == between.npos) return std::nullopt;
  marker.end = at + until + stop.size();
  return marker;
}

}  // namespace

std::size_t skip_spaces(std::string_view text, std::size_t at) {
  while (at < text.size() && is_space(text[at])) ++at;
  return at;
}

bool is_thought(std::string_view name) {
  constexpr std::array<std::string_view, 20> kNames = {"think",
                                                       "thinking",
                                                       "thought",
                                                       "thoughts",
                                                       "reasoning",
                                                       "reason",
                                                       "reflection",
                                                       "analysis",
                                                       "scratchpad",
                                                       "seed:think",
                                                       "antml:thinking",
                                                       "antthinking",
                                                       "cot",
                                                       "chain_of_thought",
                                                       "inner_monologue",
                                                       "internal_thoughts",
                                                       "thought_process",
                                                       "thinking_process",
                                                       "reasoning_content",
                                                       "ant_thinking"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

bool is_shared_end(std::string_view family) {
  return family == kDetails || family == kFence;
}

std::vector<Marker> find_markers(std::string_view text) {
  std::vector<Marker> markers;
  const auto add = [&](std::size_t begin, std::size_t end, Marker::Kind kind, std::string_view family = {}) {
    markers.push_back({begin, end, kind, std::string(family)});
  };
  // gpt-oss without its tokens begins with the channel's name, glued to the text or on a line of its own.
  bool stripped = false;
  const std::size_t first = skip_spaces(text, 0);
  for (const std::string_view name : {"analysis", "commentary"}) {
    if (!text.substr(first).starts_with(name)) continue;
    const std::string_view rest = text.substr(first + name.size());
    const auto begins = [](char c) {
      return !is_space(c) && std::string_view(":.,;)-*_<").find(c) == std::string_view::npos;
    };
    stripped = rest.starts_with('\n') || (!rest.empty() && begins(rest[0])) ||
               (rest.size() > 1 && rest[0] == ' ' && rest[1] >= 'A' && rest[1] <= 'Z');
    if (stripped) add(first, first + name.size(), Marker::Kind::aside);
  }
  bool header = false;  // between a channel's name and its message
  bool fenced = false;  // in a block of code that is a thought
  for (std::size_t at = first; at < text.size();) {
    const std::size_t before = markers.size();
    const std::string_view rest = text.substr(at);
    switch (text[at]) {
      case '<':
      case '\xE2':
      case 'H':
        for (const Fixed& fixed : kFixed) {
          if (rest.starts_with(fixed.text)) {
            add(at, at + fixed.text.size(), fixed.kind, fixed.family);
            if (fixed.kind == Marker::Kind::end) header = false;
            break;
          }
        }
        if (markers.size() > before) break;
        if (rest.starts_with(kChannel)) {
          const std::size_t name = skip_spaces(text, at + kChannel.size());
          std::size_t end = name;
          while (end < text.size() && is_letter(text[end])) ++end;
          add(at, end, channel_kind(text.substr(name, end - name)));
          header = true;
          break;
        }
        if (rest.starts_with(kMessage)) {
          // Where the channel's token was the prompt's, its name stands at the beginning.
          const std::string_view name = text.substr(first, at - first);
          if (header) {
            markers.back().end = at + kMessage.size();
          } else if (name == "analysis" || name == "commentary") {
            add(at, at + kMessage.size(), Marker::Kind::aside);
          } else {
            add(at, at + kMessage.size(), Marker::Kind::answer);
          }
          header = false;
          break;
        }
        [[fallthrough]];
      case '[':
      case '&':
        if (text[at] == '<' || text[at] == '[' || rest.starts_with("&lt;")) {
          if (auto tag = tag_at(text, at)) markers.push_back(std::move(*tag));
        }
        break;
      case '`':
        if (auto fence = fence_at(text, at, fenced)) {
          markers.push_back(std::move(*fence));
          fenced = !fenced;
        }
        break;
      case 'a': {
        constexpr std::string_view kRole = "assistant";
        if (!rest.starts_with(kRole)) break;
        const std::size_t name = stripped ? skip_spaces(text, at + kRole.size()) : at + kRole.size();
        for (const std::string_view channel : {"final", "analysis", "commentary"}) {
          if (text.substr(name).starts_with(channel)) add(at, name + channel.size(), channel_kind(channel));
        }
        break;
      }
      default:
        break;
    }
    at = markers.size() > before ? std::max(markers.back().end, at + 1) : at + 1;
  }
  return markers;
}

}  // namespace sllmr::thoughts
