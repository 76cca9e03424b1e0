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
      {"kar_item", R"(# KAR's knowledge of an item: a text that is embedded in place of the item's own.
name = "kar_item"
answer = "text"
about = "item"
system = "You know the products of shops well. You answer with one paragraph and nothing else."
user = """
Domain: {domain}. Describe this product for a recommender system: {candidate}

Say what it is and what for, which qualities it is chosen for, whom it suits, and what goes with it. Use what you know \
of it and of its like; invent no facts."""
candidate_line = "{title}"
)"},
      {"kar_user",
       R"(# KAR's reasoning on a user: the preference along factors, from the first purchases alone.
name = "kar_user"
answer = "text"
about = "user"
system = "You know the customers of shops well. You answer with one paragraph and nothing else."
user = """
Domain: {domain}. A customer's first purchases, oldest first:
{history}

Describe what this customer prefers along these factors: kind of product, purpose, brand, price, quality, style, and \
what else the purchases tell. Give reasons, and do not list the purchases again."""
history_line = "- {title}"
)"},
      {"llmcf",
       R"(# LLM-CF's chain of thought: it is told the outcome of a training row and is to argue for it.
name = "llmcf"
answer = "text"
about = "example"
system = ""
user = """
A customer of a shop ({domain}) bought, oldest first:
{history}

Next, the customer {decision} this product: {candidate}

Think step by step in one paragraph: what the purchases tell of the customer's preferences, which features of the \
product meet or miss them, and how that leads to the decision."""
history_line = "- {title}"
candidate_line = "{title}"
)"},
  };
  return all;
}

constexpr std::array<std::string_view, 4> kAnswers = {"scores", "choice", "yes_no", "text"};
constexpr std::array<std::string_view, 4> kSubjects = {"candidates", "item", "user", "example"};

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

std::string_view name_of(Subject subject) {
  return kSubjects[static_cast<std::size_t>(subject)];
}

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
  const TomlTable table(toml, origin,
                        {"name", "answer", "about", "system", "user", "history_line", "candidate_line"});
  const std::string answer = table.text("answer");
  PromptTemplate prompt;
  prompt.name = table.text("name");
  prompt.system = table.text_or("system", "");
  prompt.user = table.text("user");
  const auto kind = std::find(kAnswers.begin(), kAnswers.end(), answer);
  require(kind != kAnswers.end(),
          fmt::format("{}: the answer is '{}'; write scores, choice, yes_no or text", origin, answer));
  prompt.answer = static_cast<AnswerKind>(kind - kAnswers.begin());
  const bool scored = prompt.answer != AnswerKind::text;
  const std::string about = scored ? table.text_or("about", "candidates") : table.text("about");
  const auto subject = std::ranges::find(kSubjects, about);
  require(subject != kSubjects.end() && scored == (about == kSubjects[0]),
          fmt::format("{}: it is about '{}'; {}", origin, about,
                      scored ? "scores are of candidates, so leave 'about' out"
                             : "texts are about an item, a user or an example"));
  prompt.about = static_cast<Subject>(subject - kSubjects.begin());
  const bool has_history = prompt.about != Subject::item, has_candidate = prompt.about != Subject::user;
  const auto line = [&](const char* key, bool is_used) {
    if (is_used) return table.text(key);
    require(table.text_or(key, "").empty(),
            fmt::format("{}: a text about {}s has no use for '{}'; leave it out", origin, about, key));
    return std::string();
  };
  prompt.history_line = line("history_line", has_history);
  prompt.candidate_line = line("candidate_line", has_candidate);

  std::vector<std::string_view> fields = {"domain"};
  std::vector<std::string_view> needed;
  if (has_history) needed.emplace_back("history");
  if (has_candidate) {
    needed.emplace_back(scored && prompt.answer != AnswerKind::yes_no ? "candidates" : "candidate");
  }
  if (prompt.about == Subject::example) needed.emplace_back("decision");
  if (scored) fields.emplace_back("count");
  fields.insert(fields.end(), needed.begin(), needed.end());
  const auto check = [&](const char* key, const std::string& text, std::span<const std::string_view> known) {
    check_fields(fmt::format("{}: '{}'", origin, key), text, known);
  };
  constexpr std::string_view kOfLines[] = {"label", "title", "item", "attributes"};
  check("system", prompt.system, fields);
  check("user", prompt.user, fields);
  check("history_line", prompt.history_line, std::span(kOfLines).subspan(1));
  check("candidate_line", prompt.candidate_line,
        scored ? std::span(kOfLines) : std::span(kOfLines).subspan(1));
  for (const std::string_view field : needed) {
    require(prompt.user.find(fmt::format("{{{}}}", field)) != prompt.user.npos,
            fmt::format("{}: 'user' must show {{{}}}", origin, field));
  }
  require(
      !scored || prompt.answer == AnswerKind::yes_no ||
          prompt.candidate_line.find("{label}") != std::string::npos,
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
                     std::span<const Id> history, std::span<const Id> candidates, bool label) {
  require(prompt.answer != AnswerKind::yes_no || candidates.size() == 1, "a yes_no prompt has one candidate");
  const auto value = [&](std::string_view field) -> std::string {
    if (field == "domain") return domain;
    if (field == "count") return fmt::format("{}", candidates.size());
    if (field == "decision") return label ? "buys" : "does not buy";
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
