#include "host/text/item_texts.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string_view>

#include "host/base/template_text.h"
#include "host/base/trim.h"
#include "host/base/utf8.h"
#include "host/data/feature_source.h"
#include "kernels/exec/error.h"
#include "kernels/exec/fnv.h"

namespace sllmr {
namespace {

constexpr std::string_view kTextFields[] = {"title", "brand", "categories", "attributes", "item"};

/// The template's parts, without the blanks around them.
std::vector<std::string_view> parts_of(std::string_view text_template) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text_template.size();) {
    const std::size_t end = std::min(text_template.find(';', begin), text_template.size());
    parts.push_back(trim(text_template.substr(begin, end - begin)));
    begin = end + 1;
  }
  return parts;
}

class Texts {
 public:
  explicit Texts(const Dataset& data) : data_(data), kinds_(attribute_kinds(data)) {}

  std::string of(Id item, std::span<const std::string_view> parts) const {
    std::string text;
    for (const std::string_view part : parts) {
      bool is_said = false;
      const std::string filled = fill_fields(part, [&](std::string_view field) {
        std::string value = one_line(value_of(item, field), kMostTextBytes);
        is_said |= !value.empty();
        return value;
      });
      if (is_said) text += (text.empty() ? "" : "; ") + filled;
    }
    return one_line(text, kMostTextBytes);
  }

 private:
  std::string value_of(Id item, std::string_view field) const {
    const auto row = static_cast<std::size_t>(item);
    if (field == "title") return data_.titles[row];
    if (field == "item") return std::string(data_.items.token(item));
    std::string values;
    for (auto k = static_cast<std::size_t>(data_.attribute_offsets[row]);
         k < static_cast<std::size_t>(data_.attribute_offsets[row + 1]); ++k) {
      const bool is_category = kinds_[k] == AttributeKind::category;
      if (field != "attributes" && is_category != (field == "categories")) continue;
      if (!values.empty()) values += ", ";
      values += data_.attributes.token(data_.item_attributes[k]);
    }
    return values;
  }

  const Dataset& data_;
  std::vector<AttributeKind> kinds_;
};

}  // namespace

std::vector<std::string> item_texts(const Dataset& data, const std::string& text_template) {
  require(is_utf8(text_template), "the text template is not UTF-8");
  check_fields(fmt::format("the text template '{}'", text_template), text_template, kTextFields);
  const std::vector<std::string_view> parts = parts_of(text_template);
  const Texts source(data);
  std::vector<std::string> texts(static_cast<std::size_t>(data.items.rows()));
  for (Id item = 1; item < data.items.rows(); ++item) {
    texts[static_cast<std::size_t>(item)] = source.of(item, parts);
  }
  const auto others = std::span(texts).subspan(1);
  require(std::ranges::any_of(others, [](const std::string& text) { return !text.empty(); }),
          fmt::format("{}: no item has a text by the template '{}'; give the data an item file with titles "
                      "(--items, data.items), or use another template",
                      data.source, text_template));
  require(
      others.size() == 1 || std::ranges::adjacent_find(others, std::ranges::not_equal_to()) != others.end(),
      fmt::format("{}: all {} items have the same text '{}' by the template '{}'; use one with fields that "
                  "tell them apart",
                  data.source, others.size(), others.front(), text_template));
  return texts;
}

std::uint64_t items_hash(const Dataset& data) {
  Fnv<std::uint64_t> hash;
  for (Id item = 1; item < data.items.rows(); ++item) hash.add_token(data.items.token(item));
  return hash.value();
}

std::uint64_t texts_hash(std::span<const std::string> texts) {
  Fnv<std::uint64_t> hash;
  for (const std::string& text : texts) hash.add_token(text);
  return hash.value();
}

}  // namespace sllmr
