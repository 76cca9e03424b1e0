#include "host/ask/prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "host/base/nearest.h"
#include "host/base/template_text.h"
#include "host/base/text_file.h"
#include "host/base/toml_table.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

constexpr std::size_t kLongestText = 160;

struct BuiltIn {
  std::string name, text;
};

const std::vector<BuiltIn>& built_in() {
  static const std::vector<BuiltIn> all = {
      {"scores", R"(# The paper's prompt: all candidates at once, a score for each.
name = "scores"
answer = "scores"
system = "You judge how well products suit a customer. You answer with one JSON object and nothing else."
user = """
Domain: {domain}. A customer's latest purchases, oldest first:
{history}

Rank these {count} candidates by how likely the customer is to want them next:
{candidates}

Score each candidate from 0 (very unlikely) to 1 (very likely). Spread the scores. Answer as JSON with every label \
once, for example {"A": 0.85, "B": 0.1}."""
history_line = "- {title}"
candidate_line = "{label}. {title}"
)"},
      {"choice",
       R"(# One token an answer: the server's log-probabilities of the labels are the scores. At most 26 candidates.
name = "choice"
answer = "choice"
system = ""
user = """
A customer of a shop ({domain}) bought, oldest first:
{history}

Which of these products will the customer buy next?
{candidates}

Answer with one letter."""
history_line = "- {title}"
candidate_line = "{label}. {title}"
)"},
      {"yes_no", R"(# One prompt a candidate: no position bias, and the most expensive.
name = "yes_no"
answer = "yes_no"
system = ""
user = """
A customer of a shop ({domain}) bought, oldest first:
{history}

Is the customer likely to buy this product next: {candidate}? Answer yes or no."""
history_line = "- {title}"
candidate_line = "{title}"
)"},
  };
  return all;
}

constexpr std::array<std::string_view, 3> kAnswers = {"scores", "choice", "yes_no"};

std::string line_of(const std::string& line, const Dataset& data, Id item, const std::string& label) {
  return fill_fields(line, [&](std::string_view field) -> std::string {
    if (field == "label") return label;
    if (field == "title") return item_text(data, item);
    if (field == "item") return std::string(data.items.token(item));
    std::string attributes;
    for (const Id attribute : data.attributes_of(item)) {
      if (!attributes.empty()) attributes += ", ";
      attributes += data.attributes.token(attribute);
    }
    return attributes;
  });
}

}  // namespace

std::vector<std::string> prompt_templates() {
  std::vector<std::string> names;
  for (const BuiltIn& one : built_in()) names.push_back(one.name);
  return names;
}

const std::string& prompt_template_text(const std::string& name) {
  for (const BuiltIn& one : built_in()) {
    if (one.name == name) return one.text;
  }
  throw Error(fmt::format("no prompt template '{}'; did you mean '{}'? (a file's name ends in .toml)", name,
                          nearest_name(name, prompt_templates())));
}

PromptTemplate load_prompt_template(const std::string& name_or_path) {
  if (name_or_path.find('/') == name_or_path.npos && !name_or_path.ends_with(".toml")) {
    return parse_prompt_template(prompt_template_text(name_or_path), "template " + name_or_path);
  }
  require_not_pipe(name_or_path, "the prompt template");
  return parse_prompt_template(read_text_file(name_or_path, "the prompt template"), name_or_path);
}

PromptTemplate parse_prompt_template(const std::string& toml, const std::string& origin) {
  const TomlTable table(toml, origin, {"name", "answer", "system", "user", "history_line", "candidate_line"});
  const std::string answer = table.text("answer");
  PromptTemplate prompt;
  prompt.name = table.text("name");
  prompt.system = table.text_or("system", "");
  prompt.user = table.text("user");
  prompt.history_line = table.text("history_line");
  prompt.candidate_line = table.text("candidate_line");
  const auto kind = std::find(kAnswers.begin(), kAnswers.end(), answer);
  require(kind != kAnswers.end(),
          fmt::format("{}: the answer is '{}'; write scores, choice or yes_no", origin, answer));
  prompt.answer = static_cast<AnswerKind>(kind - kAnswers.begin());

  std::vector<std::string_view> fields = {"domain", "history", "count"};
  const char* needed = prompt.answer == AnswerKind::yes_no ? "candidate" : "candidates";
  fields.emplace_back(needed);
  const auto check = [&](const char* key, const std::string& text, std::span<const std::string_view> known) {
    check_fields(fmt::format("{}: '{}'", origin, key), text, known);
  };
  constexpr std::string_view kOfLines[] = {"label", "title", "item", "attributes"};
  check("system", prompt.system, fields);
  check("user", prompt.user, fields);
  check("history_line", prompt.history_line, std::span(kOfLines).subspan(1));
  check("candidate_line", prompt.candidate_line, kOfLines);
  for (const char* field : {"history", needed}) {
    require(prompt.user.find(fmt::format("{{{}}}", field)) != prompt.user.npos,
            fmt::format("{}: 'user' must show {{{}}}", origin, field));
  }
  require(
      prompt.answer == AnswerKind::yes_no || prompt.candidate_line.find("{label}") != std::string::npos,
      fmt::format("{}: 'candidate_line' must show {{label}}, by which the answer names candidates", origin));
  return prompt;
}

std::string candidate_label(std::size_t position) {
  constexpr std::size_t kLetters = 26;
  std::string label;
  for (std::size_t rest = position + 1; rest > 0; rest = (rest - 1) / kLetters) {
    label.insert(label.begin(), static_cast<char>('A' + (rest - 1) % kLetters));
  }
  return label;
}

std::string item_text(const Dataset& data, Id item) {
  std::string text = one_line(data.titles[static_cast<std::size_t>(item)], kLongestText);
  return text.empty() ? fmt::format("item {}", data.items.token(item)) : text;
}

Prompt render_prompt(const PromptTemplate& prompt, const Dataset& data, const std::string& domain,
                     std::span<const Id> history, std::span<const Id> candidates) {
  require(prompt.answer != AnswerKind::yes_no || candidates.size() == 1, "a yes_no prompt has one candidate");
  const auto value = [&](std::string_view field) -> std::string {
    if (field == "domain") return domain;
    if (field == "count") return fmt::format("{}", candidates.size());
    if (field == "candidate") return line_of(prompt.candidate_line, data, candidates[0], "");
    std::string lines;
    const bool shows_history = field == "history";
    const std::span<const Id> items = shows_history ? history : candidates;
    for (std::size_t k = 0; k < items.size(); ++k) {
      if (k > 0) lines += '\n';
      lines += shows_history ? line_of(prompt.history_line, data, items[k], "")
                             : line_of(prompt.candidate_line, data, items[k], candidate_label(k));
    }
    return lines.empty() ? "(nothing yet)" : lines;
  };
  return {fill_fields(prompt.system, value), fill_fields(prompt.user, value)};
}

}  // namespace sllmr
