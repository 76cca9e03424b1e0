// Texts that an LLM has written about items, users or training rows, and their file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/ask/prompt.h"
#include "host/data/split.h"

namespace sllmr {

/// What one text is about.
struct TextSubject {
  Id user = 0, item = 0;      // 0: about none
  std::int32_t position = 0;  // of a user or an example: how many interactions of the user the text may know
  std::int8_t label = 0;      // of an example: 0 or 1, which its text is told
  bool operator==(const TextSubject&) const = default;
};
/// For messages: "item B00", "user u7", "user u7 and item B00".
std::string name_of(const TextSubject& subject, const Dataset& data);

struct SubjectOptions {
  int history = 0;         // of users: their first interactions that a text knows
  std::int64_t users = 0;  // most of them, drawn by the seed; 0: all
  double share = 0.1;      // of the training rows, that are examples
  std::uint64_t seed = 1;  // of the examples as of a run's training rows, and of the draw of users
};

/// All that there is to write about, in the order of the ids: items that have a title or attributes; users
/// with the first `history` of their training interactions (fewer where there are fewer, and users without
/// any left out); the rows of example_pool(). Throws Error where there is nothing.
std::vector<TextSubject> text_subjects(Subject about, const Split& split, const SubjectOptions& options);

struct WrittenText {
  TextSubject subject;
  std::string text;
};
struct WrittenTexts {
  Subject about = Subject::item;
  std::vector<WrittenText> texts;  // several of one subject follow each other: samples
};

/// Writes JSON lines {"item", "text"}, {"user", "history", "text"} or {"user", "item", "position", "label",
/// "text"}, ids as the data have them, the file whole or not at all.
void save_written_texts(const std::string& path, const WrittenTexts& written, const Dataset& data);
/// Reads such a file, whoever wrote it. Throws Error naming file and line for what is none of these lines,
/// for lines of two kinds, for users and items that the data do not have, for a position beyond the user's
/// history, an empty text, and a second text of an item or a user.
WrittenTexts load_written_texts(const std::string& path, const Dataset& data);

}  // namespace sllmr
