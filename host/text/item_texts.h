// The texts of items that encoders read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/data/dataset.h"

namespace sllmr {

/// Bytes of a text that an encoder reads: about the 512 tokens of encoders of BERT's size.
inline constexpr std::size_t kMostTextBytes = 2000;

/// The text of every item by id, [items + 1], that of the padding empty. `text_template` has parts between
/// semicolons, with the fields {title}, {brand}, {categories}, {attributes} (both) and {item} (its id in the
/// data); a part of fields that are all empty for an item is left out, and a text has at most kMostTextBytes.
/// Throws Error for an unknown field, where no item has a text, and where all of several have the same.
std::vector<std::string> item_texts(const Dataset& data, const std::string& text_template);

/// Hash of the items' ids in the data, in the order of the rows (64-bit FNV-1a).
std::uint64_t items_hash(const Dataset& data);
/// Hash of texts in their order.
std::uint64_t texts_hash(std::span<const std::string> texts);

}  // namespace sllmr
