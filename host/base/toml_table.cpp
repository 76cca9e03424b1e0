#include "host/base/toml_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "host/base/nearest.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

template <class Element>
constexpr const char* kKind = "strings";
template <>
constexpr const char* kKind<std::int64_t> = "integers";
template <>
constexpr const char* kKind<double> = "numbers";

template <class Element>
std::optional<Element> value_of(const toml::node& node) {
  if (const auto exact = node.value_exact<Element>()) return exact;
  if constexpr (std::is_same_v<Element, double>) {
    if (node.is_integer()) return node.value<double>();
  }
  return std::nullopt;
}

}  // namespace

TomlTable::TomlTable(std::string_view text, const std::string& origin, const std::vector<std::string>& keys)
    : TomlTable(std::make_shared<const toml::table>(parse_toml(text, origin)), origin, keys) {}

TomlTable::TomlTable(std::shared_ptr<const toml::table> table, std::string origin,
                     const std::vector<std::string>& keys)
    : table_(std::move(table)), origin_(std::move(origin)) {
  for (const auto& [key, node] : *table_) {
    const std::string name(key.str());
    if (std::ranges::find(keys, name) == keys.end()) {
      fail(node, fmt::format("unknown key '{}'; did you mean '{}'?", name, nearest_name(name, keys)));
    }
  }
}

void TomlTable::fail(const toml::node& node, const std::string& message) const {
  throw Error(fmt::format("{}:{}: {}", origin_, node.source().begin.line, message));
}

std::string TomlTable::text(const char* key) const {
  if (!table_->contains(key)) fail(*table_, fmt::format("the key '{}' is missing; add it", key));
  return text_or(key, "");
}

std::string TomlTable::text_or(const char* key, const std::string& otherwise) const {
  const toml::node* node = table_->get(key);
  if (node == nullptr) return otherwise;
  if (!node->is_string()) fail(*node, fmt::format("'{}' is not a string", key));
  return node->as_string()->get();
}

std::vector<std::string> TomlTable::texts(const char* key) const {
  const toml::node* node = table_->get(key);
  if (node != nullptr && node->is_string()) return {node->as_string()->get()};
  if (node != nullptr && !node->is_array())
    fail(*node, fmt::format("'{}' is neither a string nor an array of strings", key));
  return list<std::string>(key);
}

template <class Element>
std::vector<Element> TomlTable::list(const char* key) const {
  std::vector<Element> out;
  const toml::node* list = table_->get(key);
  if (list == nullptr) return out;
  const std::string expected = fmt::format("'{}' is not an array of {}", key, kKind<Element>);
  if (!list->is_array()) fail(*list, expected);
  for (const toml::node& node : *list->as_array()) {
    const std::optional<Element> value = value_of<Element>(node);
    if (!value) fail(node, expected);
    out.push_back(*value);
  }
  return out;
}

template std::vector<std::string> TomlTable::list(const char* key) const;
template std::vector<std::int64_t> TomlTable::list(const char* key) const;
template std::vector<double> TomlTable::list(const char* key) const;

std::optional<TomlTable> TomlTable::table(const char* key, const std::vector<std::string>& keys) const {
  const toml::node* node = table_->get(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_table()) fail(*node, fmt::format("'{}' must be a table: [{}]", key, key));
  return TomlTable(std::shared_ptr<const toml::table>(table_, node->as_table()), origin_, keys);
}

std::vector<TomlTable> TomlTable::tables(const char* key, const std::vector<std::string>& keys) const {
  std::vector<TomlTable> out;
  const toml::node* list = table_->get(key);
  if (list == nullptr) return out;
  const std::string expected = fmt::format("'{}' must be tables: [[{}]]", key, key);
  if (!list->is_array()) fail(*list, expected);
  for (const toml::node& node : *list->as_array()) {
    if (!node.is_table()) fail(node, expected);
    out.push_back(TomlTable(std::shared_ptr<const toml::table>(table_, node.as_table()), origin_, keys));
  }
  return out;
}

}  // namespace sllmr
