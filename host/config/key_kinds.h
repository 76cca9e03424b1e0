// The kinds of config keys: what a value may be, and the member that it becomes. See keys.cpp.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "host/config/key.h"
#include "kernels/exec/error.h"

namespace sllmr::keys {

using Value = ConfigValue;

template <class Member>
using MemberType = std::remove_cvref_t<std::invoke_result_t<Member, Config&>>;

/// The largest integer that both TOML and the member hold.
template <class Integer>
constexpr std::int64_t largest_of() {
  constexpr Integer most = std::numeric_limits<Integer>::max();
  return std::in_range<std::int64_t>(most) ? static_cast<std::int64_t>(most)
                                           : std::numeric_limits<std::int64_t>::max();
}

template <class Member>
Key integer(std::string name, Member member, std::int64_t min, std::string doc,
            std::int64_t max = largest_of<MemberType<Member>>()) {
  const auto get = [=](const Config& config) { return Value(static_cast<std::int64_t>(member(config))); };
  const auto set = [=](Config& config, const Value& value) {
    const auto* given = std::get_if<std::int64_t>(&value);
    if (!given || *given < min || *given > max) return false;
    member(config) = static_cast<MemberType<Member>>(*given);
    return true;
  };
  return {std::move(name), fmt::format("an integer in [{}, {}]", min, max), std::move(doc), get, set};
}

struct Range {
  const char* text;
  bool (*contains)(double);
};
// What trains is float, in which these neither vanish nor overflow.
inline constexpr Range positive{"in [1e-30, 1e30]", [](double x) { return x >= 1e-30 && x <= 1e30; }};
inline constexpr Range non_negative{"in [0, 1e30]", [](double x) { return x >= 0 && x <= 1e30; }};
// Beyond it nothing but rounding is kept (kernels/dense/dropout_mask.h).
inline constexpr Range dropout_range{"in [0, 0.9999]", [](double x) { return x >= 0 && x <= 0.9999; }};
inline constexpr Range factor{"in [1e-6, 1]", [](double x) { return x >= 1e-6 && x <= 1; }};
inline constexpr Range share{"in [0, 1]", [](double x) { return x >= 0 && x <= 1; }};

template <class Member>
Key number(std::string name, Member member, Range range, std::string doc) {
  const auto get = [=](const Config& config) { return Value(member(config)); };
  const auto set = [=](Config& config, const Value& value) {
    const auto* whole = std::get_if<std::int64_t>(&value);
    const auto* real = std::get_if<double>(&value);
    if (!whole && !real) return false;
    const double given = whole ? static_cast<double>(*whole) : *real;
    if (!range.contains(given)) return false;
    member(config) = given;
    return true;
  };
  return {std::move(name), fmt::format("a number {}", range.text), std::move(doc), get, set};
}

/// A number, or "auto", which leaves the std::optional without one.
template <class Member>
Key number_or_auto(std::string name, Member member, Range range, std::string doc) {
  const auto get = [=](const Config& config) {
    const std::optional<double>& number = member(config);
    return number ? Value(*number) : Value(std::string("auto"));
  };
  const auto set = [=](Config& config, const Value& value) {
    const auto* text = std::get_if<std::string>(&value);
    const auto* whole = std::get_if<std::int64_t>(&value);
    const auto* real = std::get_if<double>(&value);
    if (!text && !whole && !real) return false;
    double given = whole ? static_cast<double>(*whole) : real ? *real : 0;
    if (text) {  // from a command line, where only the key says what a value is
      member(config).reset();
      const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), given);
      if (error != std::errc() || end != text->data() + text->size()) return *text == "auto";
    }
    member(config) = given;
    return range.contains(given);
  };
  return {std::move(name), fmt::format("a number {}, or \"auto\"", range.text), std::move(doc), get, set};
}

/// A number, or the folder of a run, of which `figure_of` makes the number.
template <class Member, class FigureOf>
Key number_or_run(std::string name, Member member, Range range, FigureOf figure_of, std::string doc) {
  Key key = number(std::move(name), member, range, std::move(doc));
  key.expects += ", or the folder of a run";
  key.set = [=, set_number = key.set](Config& config, const ConfigValue& value) {
    const auto* run = std::get_if<std::string>(&value);
    return set_number(config, run ? ConfigValue(figure_of(*run)) : value);
  };
  return key;
}

template <class Member>
Key text(std::string name, Member member, std::string doc) {
  const auto get = [=](const Config& config) { return Value(member(config)); };
  const auto set = [=](Config& config, const Value& value) {
    const auto* given = std::get_if<std::string>(&value);
    if (given) member(config) = *given;
    return given != nullptr;
  };
  return {std::move(name), "a string", std::move(doc), get, set};
}

template <class Member>
Key flag(std::string name, Member member, std::string doc) {
  const auto get = [=](const Config& config) { return Value(member(config)); };
  const auto set = [=](Config& config, const Value& value) {
    const auto* given = std::get_if<bool>(&value);
    if (given) member(config) = *given;
    return given != nullptr;
  };
  return {std::move(name), "true or false", std::move(doc), get, set};
}

// The enumerators by the names that recipes call them.
template <class Member>
Key choice(std::string name, Member member, std::vector<std::pair<std::string, MemberType<Member>>> options,
           std::string doc) {
  std::vector<std::string> names;
  for (const auto& [word, value] : options) names.push_back(word);
  const auto get = [=](const Config& config) {
    const auto found =
        std::ranges::find(options, member(config), &std::pair<std::string, MemberType<Member>>::second);
    require(found != options.end(), "'" + name + "' has a value without a name in host/config/keys.cpp");
    return Value(found->first);
  };
  const auto set = [=](Config& config, const Value& value) {
    const auto* given = std::get_if<std::string>(&value);
    for (const auto& [word, option] : options) {
      if (!given || *given != word) continue;
      member(config) = option;
      return true;
    }
    return false;
  };
  return {std::move(name), fmt::format("one of {}", fmt::join(names, ", ")), std::move(doc), get, set, names};
}

enum class Ascending { no, yes };

// 1 to `most_elements` integers in [1, `max`].
template <class Member>
Key integers(std::string name, Member member, Ascending ascending, std::size_t most_elements, int max,
             std::string doc) {
  const auto get = [=](const Config& config) {
    return Value(std::vector<std::int64_t>(member(config).begin(), member(config).end()));
  };
  const auto set = [=](Config& config, const Value& value) {
    const auto* given = std::get_if<std::vector<std::int64_t>>(&value);
    if (!given || given->empty() || given->size() > most_elements) return false;
    for (const std::int64_t x : *given) {
      if (x < 1 || x > max) return false;
    }
    const bool falls = std::ranges::adjacent_find(*given, std::greater_equal{}) != given->end();
    if (ascending == Ascending::yes && falls) return false;
    member(config).assign(given->begin(), given->end());
    return true;
  };
  return {std::move(name),
          fmt::format("an {}array of integers in [1, {}], 1 to {} of them",
                      ascending == Ascending::yes ? "ascending " : "", max, most_elements),
          std::move(doc), get, set};
}

}  // namespace sllmr::keys
