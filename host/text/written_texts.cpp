#include "host/text/written_texts.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "host/base/atomic_file.h"
#include "host/base/json_text.h"
#include "host/base/line_reader.h"
#include "host/base/trim.h"
#include "host/text/example_retrieval.h"
#include "kernels/exec/error.h"
#include "kernels/exec/random.h"

namespace sllmr {
namespace {

using nlohmann::json;

std::vector<TextSubject> items_to_write_of(const Dataset& data) {
  std::vector<TextSubject> all;
  for (Id item = 1; item < data.items.rows(); ++item) {
    if (data.titles[static_cast<std::size_t>(item)].empty() && data.attributes_of(item).empty()) continue;
    all.push_back({.item = item});
  }
  return all;
}

std::vector<TextSubject> users_to_write_of(const Split& split, const SubjectOptions& options) {
  constexpr std::uint32_t kBlock = 0x00FFFFFEU;  // of the draws by which plans sort users, another
  std::vector<TextSubject> all;
  std::vector<std::pair<std::uint32_t, Id>> order;
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    const auto known = static_cast<std::int32_t>(
        std::min(split.train_items(user).size(), static_cast<std::size_t>(options.history)));
    if (known == 0) continue;
    all.push_back({.user = user, .position = known});
    order.emplace_back(
        philox(options.seed, 0, static_cast<std::uint64_t>(user), Purpose::candidates, kBlock).word[0], user);
  }
  if (options.users == 0 || options.users >= std::ssize(all)) return all;
  std::ranges::sort(order);
  order.resize(static_cast<std::size_t>(options.users));
  std::set<Id> kept;
  for (const auto& [draw, user] : order) kept.insert(user);
  std::erase_if(all, [&](const TextSubject& subject) { return !kept.contains(subject.user); });
  return all;
}

std::vector<TextSubject> examples_to_write_of(const Split& split, const SubjectOptions& options) {
  const ExamplePool pool = example_pool(split, options.share, options.seed);
  std::vector<TextSubject> all;
  for (std::size_t k = 0; k < pool.rows.size(); ++k) {
    const FeatureRow& row = pool.rows[k];
    all.push_back({row.user, row.item, row.position, pool.labels[k]});
  }
  return all;
}

/// Of the line's object; nothing where it has no such text, or number in [0, most].
std::optional<std::string> text_of(const json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
}
std::optional<std::int64_t> number_of(const json& line, const char* key, std::int64_t most) {
  const auto found = line.find(key);
  if (found == line.end() || !found->is_number_unsigned()) return std::nullopt;
  const auto number = found->get<std::uint64_t>();
  return number <= static_cast<std::uint64_t>(most) ? std::optional(static_cast<std::int64_t>(number))
                                                    : std::nullopt;
}

/// One line as what its text is about; `reader` for the place of what is wrong.
class SubjectReader {
 public:
  SubjectReader(const LineReader& reader, const Dataset& data) : reader_(reader), data_(data) {}

  Subject kind_of(const json& line) const {
    const bool user = line.contains("user"), item = line.contains("item");
    if (!user && !item) reader_.fail("the text is about no 'item' and no 'user'");
    return user && item ? Subject::example : user ? Subject::user : Subject::item;
  }
  TextSubject read(const json& line, Subject about) const {
    TextSubject subject;
    if (about != Subject::user) subject.item = id(line, "item", data_.items);
    if (about == Subject::item) return subject;
    subject.user = id(line, "user", data_.users);
    const char* key = about == Subject::user ? "history" : "position";
    const std::int64_t most = std::ssize(data_.user_history(subject.user));
    const auto position = number_of(line, key, most);
    if (!position)
      reader_.fail(
          fmt::format("'{}' must be a number of the user's {} interactions, 0 to {}", key, most, most));
    subject.position = static_cast<std::int32_t>(*position);
    if (about == Subject::user) return subject;
    const auto label = number_of(line, "label", 1);
    if (!label) reader_.fail("'label' must be 0 or 1");
    subject.label = static_cast<std::int8_t>(*label);
    return subject;
  }

 private:
  Id id(const json& line, const char* key, const TokenMap& known) const {
    const auto token = text_of(line, key);
    if (!token) reader_.fail(fmt::format("'{}' must be a text, the id in the data", key));
    const Id found = known.find(*token);
    if (found == 0)
      reader_.fail(fmt::format("{} has no {} '{}'; the texts are of other data", data_.name, key, *token));
    return found;
  }

  const LineReader& reader_;
  const Dataset& data_;
};

}  // namespace

std::string name_of(const TextSubject& subject, const Dataset& data) {
  const std::string item = fmt::format("item {}", data.items.token(subject.item));
  if (subject.user == 0) return item;
  const std::string user = fmt::format("user {}", data.users.token(subject.user));
  return subject.item == 0 ? user : user + " and " + item;
}

std::vector<TextSubject> text_subjects(Subject about, const Split& split, const SubjectOptions& options) {
  std::vector<TextSubject> all;
  if (about == Subject::item) all = items_to_write_of(*split.data);
  if (about == Subject::user) all = users_to_write_of(split, options);
  if (about == Subject::example) all = examples_to_write_of(split, options);
  require(!all.empty(), about == Subject::item
                            ? fmt::format("{}: no item has a title or an attribute; give the data an item "
                                          "file (--items)",
                                          split.data->source)
                            : fmt::format("{}: no {} to write about", split.data->source, name_of(about)));
  return all;
}

void save_written_texts(const std::string& path, const WrittenTexts& written, const Dataset& data) {
  AtomicFile file(path);
  for (const auto& [subject, text] : written.texts) {
    json line = {{"text", text}};
    if (subject.user != 0) line["user"] = data.users.token(subject.user);
    if (subject.item != 0) line["item"] = data.items.token(subject.item);
    if (written.about == Subject::user) line["history"] = subject.position;
    if (written.about == Subject::example) {
      line["position"] = subject.position;
      line["label"] = subject.label;
    }
    file.stream() << json_text(line) << '\n';
  }
  file.commit();
}

WrittenTexts load_written_texts(const std::string& path, const Dataset& data) {
  LineReader reader(path);
  const SubjectReader subjects(reader, data);
  WrittenTexts written;
  std::set<std::tuple<Id, Id, std::int32_t>> known;
  for (std::string_view text; reader.next(text);) {
    const auto line = parse_json(text);
    if (!line || !line->is_object()) reader.fail("it is no JSON object; make the texts with `sllmr llm ask`");
    const Subject about = subjects.kind_of(*line);
    if (written.texts.empty()) written.about = about;
    if (about != written.about) {
      reader.fail(fmt::format("of {}s, where the first line is of {}s; keep them in files of their own",
                              name_of(about), name_of(written.about)));
    }
    const TextSubject subject = subjects.read(*line, about);
    const auto said = text_of(*line, "text");
    if (!said || trim(*said).empty()) reader.fail("'text' must be a text that is not empty");
    const bool is_sample =
        about == Subject::example && !written.texts.empty() && written.texts.back().subject == subject;
    if (!known.emplace(subject.user, subject.item, subject.position).second && !is_sample)
      reader.fail(fmt::format("another text about {}", name_of(subject, data)));
    written.texts.push_back({subject, *said});
  }
  require(!written.texts.empty(), fmt::format("'{}' holds no texts; make them with `sllmr llm ask`", path));
  return written;
}

}  // namespace sllmr
