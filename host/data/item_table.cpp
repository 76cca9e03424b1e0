#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "host/base/utf8.h"
#include "host/data/tables.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

/// The text in UTF-8, each run of blanks and control characters replaced by one `blank`, none at the ends.
std::string clean_text(std::string_view text, char blank) {
  const bool latin1 = !is_utf8(text);
  std::string clean;
  bool pending = false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte == 0x7F) {
      pending = !clean.empty();
      continue;
    }
    if (pending) clean += blank;
    pending = false;
    if (latin1 && byte >= 0x80) {
      clean += static_cast<char>(0xC0 | (byte >> 6));
      clean += static_cast<char>(0x80 | (byte & 0x3F));
    } else {
      clean += c;
    }
  }
  return clean;
}

}  // namespace

ItemTable::ItemTable(Dataset& data, const ImportOptions& options, bool repeats)
    : data_(data), options_(options), repeats_(repeats), entries_(data.items.rows()) {}

void ItemTable::add(const LineReader& reader, std::string_view item, std::string_view title,
                    std::span<const Attribute> attributes) {
  if (item.empty()) reader.fail("the item id is empty; correct or delete the line");
  ++lines_;
  const Id id = data_.items.find(item);
  if (id == 0) {
    ++unknown_;
    return;
  }
  if (repeats_) {
    raw_ = title;
    for (const Attribute& attribute : attributes) {
      const std::size_t size = attribute.value.size();  // keeps values apart, whatever they hold
      raw_.append(reinterpret_cast<const char*>(&size), sizeof(size));
      raw_ += attribute.value;
    }
    if (entries_[id].line != 0 && entries_[id].raw == raw_) return;  // as nearly all of them
  }
  Entry entry{reader.line_number(), raw_, clean_text(title, ' '), {}};
  for (const Attribute& attribute : attributes) {
    const std::pair added(attribute.kind, attributes_.add(clean_text(attribute.value, '_')));
    if (added.second != 0 && std::ranges::find(entry.attributes, added) == entry.attributes.end()) {
      entry.attributes.push_back(added);
    }
  }
  std::ranges::stable_sort(entry.attributes, {}, &std::pair<AttributeKind, Id>::first);

  Entry& stored = entries_[id];
  if (stored.line != 0) {
    const bool contradicts = entry.title != stored.title || entry.attributes != stored.attributes;
    if (repeats_ && !contradicts) return;
    if (repeated_++ == 0) {
      first_repeated_ = fmt::format("{}:{}: item '{}' is described in line {} already", reader.path(),
                                    entry.line, item, stored.line);
    }
    contradicting_ += contradicts ? 1 : 0;
    if (options_.duplicates != Duplicates::last) return;
  }
  stored = std::move(entry);
}

void ItemTable::note_repeated(const LineReader& reader) const {
  if (repeated_ == 0) return;
  if (options_.duplicates == Duplicates::error) {
    throw Error(fmt::format("{}; {} such line{} in all: set data.duplicates to first or last, or delete {}",
                            first_repeated_, repeated_, repeated_ == 1 ? "" : "s",
                            repeated_ == 1 ? "it" : "them"));
  }
  data_.notes.push_back(fmt::format(
      "note: {}: {} lines describe an item again, {} of them otherwise; the {} one counts (data.duplicates)",
      reader.path(), repeated_, contradicting_, options_.duplicates == Duplicates::last ? "last" : "first"));
}

void ItemTable::finish(const LineReader& reader) {
  note_repeated(reader);
  const auto listed = std::ranges::count_if(entries_, [](const Entry& entry) { return entry.line != 0; });
  note_described(data_, reader.path(), "items", listed, data_.items.count(), lines_, unknown_);
  bool labelled = false;
  std::int64_t several_brands = 0;
  for (Id item = 1; item < data_.items.rows(); ++item) {
    std::int64_t brands = 0;
    Entry& entry = entries_[item];
    data_.titles[item] = std::move(entry.title);
    for (const auto& [kind, attribute] : entry.attributes) {
      data_.item_attributes.push_back(data_.attributes.add(attributes_.token(attribute)));
      data_.attribute_kinds.push_back(kind);
      labelled = labelled || kind != AttributeKind::unlabelled;
      brands += kind == AttributeKind::brand ? 1 : 0;
    }
    several_brands += brands > 1 ? 1 : 0;
    data_.attribute_offsets[item + 1] = static_cast<std::int64_t>(data_.item_attributes.size());
  }
  if (!labelled) data_.attribute_kinds.clear();
  if (several_brands > 0) {
    data_.notes.push_back(fmt::format("note: {}: {} items have several brands; deep backbones read the first",
                                      reader.path(), several_brands));
  }
  require_described(data_, options_.min_described, reader.path());
}

void require_described(const Dataset& data, double min_described, const std::string& path) {
  std::int64_t described = 0;
  for (Id item = 1; item < data.items.rows(); ++item) {
    described += data.titles[item].empty() && data.attributes_of(item).empty() ? 0 : 1;
  }
  require(
      static_cast<double>(described) >= min_described * static_cast<double>(data.items.count()),
      fmt::format("{}: {} of {} items are described, a smaller share than data.min_described={}; is there an "
                  "item file (data.items), with titles or attributes, and are the ids spelled as in the "
                  "interactions?",
                  path, described, data.items.count(), min_described));
}

void note_described(Dataset& data, const std::string& path, std::string_view what, std::int64_t described,
                    std::int64_t known, std::int64_t lines, std::int64_t unknown) {
  constexpr double kExpected = 0.9;
  if (static_cast<double>(described) >= kExpected * static_cast<double>(known)) return;
  data.notes.push_back(fmt::format(
      "warning: {0}: {1} of the {2} {3} are described; {4} of {5} lines describe none of them. Are "
      "the ids spelled as in the interactions?",
      path, described, known, what, unknown, lines));
}

}  // namespace sllmr
