#include "host/config/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "host/base/nearest.h"
#include "host/base/text_file.h"
#include "host/base/toml_text.h"
#include "host/base/utf8.h"
#include "host/config/key.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

using Value = ConfigValue;

const Key* find_key(std::string_view name) {
  const auto found = std::ranges::find(key_table(), name, &Key::name);
  return found == key_table().end() ? nullptr : &*found;
}

const Key& known_key(std::string_view name) {
  const Key* key = find_key(name);
  require(key != nullptr, fmt::format("no config key is named '{}'", name));
  return *key;
}

// "llm" of "llm.lambda"; empty for a top-level key.
std::string section_of(std::string_view name) {
  const auto dot = name.find('.');
  return std::string(name.substr(0, dot == name.npos ? 0 : dot));
}

bool is_section(std::string_view name) {
  return !name.empty() &&
         std::ranges::any_of(key_table(), [&](const Key& key) { return section_of(key.name) == name; });
}

std::string suggestion_for(const std::string& name) {
  std::vector<std::string> names;
  for (const Key& key : key_table()) {
    if (key.name.ends_with("." + name)) return key.name;  // only the section was forgotten
    names.push_back(key.name);
    names.push_back(section_of(key.name));
  }
  std::erase(names, "");
  return nearest_name(name, names);
}

// What a TOML value or an override says: the value where it is of a type that some key has, and its text.
struct Given {
  std::optional<Value> value;
  std::string text;
  std::string origin;
};

std::optional<Value> to_value(const toml::node& node) {
  if (const auto* boolean = node.as_boolean()) return boolean->get();
  if (const auto* integer = node.as_integer()) return integer->get();
  if (const auto* real = node.as_floating_point()) return real->get();
  if (const auto* string = node.as_string()) return string->get();
  const auto* array = node.as_array();
  if (!array) return std::nullopt;
  std::vector<std::int64_t> numbers;
  for (const toml::node& element : *array) {
    const auto* integer = element.as_integer();
    if (!integer) return std::nullopt;
    numbers.push_back(integer->get());
  }
  return numbers;
}

std::string to_text(const toml::node& node) {
  std::ostringstream out;
  node.visit([&](const auto& concrete) { out << concrete; });
  return out.str();
}

std::string to_text(const Value& value) {
  if (const auto* real = std::get_if<double>(&value)) {
    const std::string digits = fmt::format("{}", *real);  // the shortest that reads back exactly
    return digits.find_first_of(".e") == digits.npos ? digits + ".0" : digits;
  }
  if (const auto* string = std::get_if<std::string>(&value)) return to_text(toml::value(*string));
  if (const auto* boolean = std::get_if<bool>(&value)) return *boolean ? "true" : "false";
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *integer);
  return fmt::format("[{}]", fmt::join(std::get<std::vector<std::int64_t>>(value), ", "));
}

/// As much of it as fits a message.
std::string shown(const std::string& text) {
  constexpr std::size_t kLongest = 200;
  return text.size() <= kLongest ? text : fmt::format("{:.{}}...", text, kLongest);
}

void assign(Config& config, const std::string& name, const Given& given) {
  const Key* key = find_key(name);
  if (!key) {
    require(!is_section(name),
            fmt::format("'{}' ({}) is a section: set its keys instead", name, given.origin));
    throw Error(fmt::format("unknown config key '{}' ({}); did you mean '{}'?", shown(name), given.origin,
                            suggestion_for(shown(name))));
  }
  if (given.value && key->set(config, *given.value)) return;
  std::string message =
      fmt::format("'{}' ({}): expected {}, got {}", name, given.origin, key->expects, shown(given.text));
  if (!key->choices.empty() && given.value && std::holds_alternative<std::string>(*given.value)) {
    message += fmt::format("; did you mean '{}'?",
                           nearest_name(shown(std::get<std::string>(*given.value)), key->choices));
  }
  throw Error(message);
}

enum class Counts { as_set, as_default };

void read_table(Config& config, const toml::table& table, const std::string& section, const std::string& file,
                Counts counts) {
  for (const auto& [key, node] : table) {
    const std::string name =
        section.empty() ? std::string(key.str()) : fmt::format("{}.{}", section, key.str());
    if (node.is_table() && is_section(name)) {
      read_table(config, *node.as_table(), name, file, counts);
      continue;
    }
    const std::string origin = fmt::format("{}:{}", file, node.source().begin.line);
    assign(config, name, {to_value(node), to_text(node), origin});
    if (counts == Counts::as_set) config.origins[name] = origin;
  }
}

void read_recipe(Config& config, const std::string& text, const std::string& path) {
  toml::table recipe = parse_toml(text, path);
  // First, so that a key that is set outside wins.
  if (const toml::table* defaults = recipe["defaults"].as_table()) {
    read_table(config, *defaults, "", path, Counts::as_default);
    recipe.erase("defaults");
  }
  read_table(config, recipe, "", path, Counts::as_set);
}

// Where a key takes a string, quotes are optional: a shell eats them.
Given parse_override(const std::string& name, const std::string& text) {
  constexpr const char* origin = kCommandLine;
  const Key* key = find_key(name);
  const bool takes_string = key && std::holds_alternative<std::string>(key->get(Config()));
  if (takes_string && !text.starts_with('"') && !text.starts_with('\'')) return {Value(text), text, origin};
  try {
    // TOML wants a digit before the point, people do not.
    const std::string digit = text.starts_with('.') ? "0" : "";
    const toml::table parsed = parse_toml("value = " + digit + text, origin);
    if (parsed.size() == 1) return {to_value(*parsed.get("value")), text, origin};
  } catch (const Error&) {  // a word or a path, or told below as a value that the key does not take
    return {Value(text), text, origin};
  }
  return {std::nullopt, text, origin};
}

void write_keys(std::string& out, const Config& config, bool set) {
  std::string section = "";
  for (const Key& key : key_table()) {
    if (config.is_set(key.name) != set) continue;
    const std::string own = section_of(key.name);
    const std::string header = set ? own : own.empty() ? "defaults" : "defaults." + own;
    if (header != section) out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", header);
    section = header;
    const std::string name = own.empty() ? key.name : key.name.substr(own.size() + 1);
    out += fmt::format("{} = {}\n", name, to_text(key.get(config)));
  }
}

}  // namespace

bool Config::is_set(std::string_view key) const {
  return origins.contains(known_key(key).name);
}

const ConfigValue& Config::part_value(std::string_view key) const {
  if (const auto found = parts.find(key); found != parts.end()) return found->second;
  const auto part = std::ranges::find(part_keys(), key, &PartKey::name);
  require(part != part_keys().end(), fmt::format("no config key is named '{}'", key));
  return part->standard;
}

Config load_config(const std::string& recipe_path, std::span<const std::string> overrides) {
  Config config;
  if (!recipe_path.empty()) read_recipe(config, read_text_file(recipe_path, "recipe"), recipe_path);
  for (const std::string& assignment : overrides) {
    const auto equals = assignment.find('=');
    require(equals != assignment.npos && equals > 0,
            fmt::format("override '{}': expected key=value, such as llm.lambda=0.5", assignment));
    require(
        is_utf8(assignment),
        fmt::format("override '{}' is not UTF-8, and a run's config.toml can hold nothing else; rename the "
                    "file, or name a symbolic link to it",
                    assignment));
    const std::string name = assignment.substr(0, equals);
    const Given given = parse_override(name, assignment.substr(equals + 1));
    assign(config, name, given);
    config.origins[name] = given.origin;
  }
  return config;
}

Config parse_config(const std::string& toml, const std::string& name) {
  Config config;
  read_recipe(config, toml, name);
  return config;
}

std::string first_difference(const Config& then, const Config& now,
                             std::span<const std::string_view> ignored) {
  for (const Key& key : key_table()) {
    if (std::ranges::find(ignored, key.name) != ignored.end()) continue;
    const std::string before = to_text(key.get(then)), after = to_text(key.get(now));
    if (before != after) return fmt::format("{} was {}, is {}", key.name, before, after);
  }
  return {};
}

std::string to_toml(const Config& config) {
  std::string out;
  write_keys(out, config, true);
  write_keys(out, config, false);
  return out;
}

void require_known_name(const Config& config, std::string_view key, std::span<const std::string> known) {
  const auto name = std::get<std::string>(known_key(key).get(config));
  if (std::ranges::find(known, name) != known.end()) return;
  const auto origin = config.origins.find(key);
  throw Error(fmt::format("'{}' ({}): no '{}'; did you mean '{}'? Known: {}", key,
                          origin == config.origins.end() ? "default" : origin->second, name,
                          nearest_name(name, known), fmt::join(known, ", ")));
}

void require_not_set(const Config& config, std::string_view key, std::string_view reason) {
  if (!config.is_set(key)) return;
  throw Error(fmt::format("'{}' ({}) does not apply: {}", key, config.origins.find(key)->second, reason));
}

std::string value_text(const Config& config, std::string_view key) {
  const Value value = known_key(key).get(config);
  const auto* string = std::get_if<std::string>(&value);
  return string ? *string : to_text(value);
}

std::vector<ConfigKeyInfo> config_keys() {
  const Config defaults;
  std::vector<ConfigKeyInfo> keys;
  for (const Key& key : key_table())
    keys.push_back({key.name, key.expects, to_text(key.get(defaults)), key.doc});
  return keys;
}

}  // namespace sllmr
