// How a user and the candidates, or what else is asked about, become a prompt: templates with named fields,
// built in or in a TOML file.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/ask/candidates.h"
#include "host/data/dataset.h"

namespace sllmr {

/// What the answer to a prompt is.
enum class AnswerKind {
  scores,  // text: JSON with a score in [0, 1] for each candidate's label
  choice,  // the log-probabilities of the candidates' labels as the first token of the answer
  yes_no,  // one prompt a candidate: the log-probabilities of "yes" and "no" as the first token
  text,    // a text, kept as it is
};
/// Is its length left to the model, rather than one token?
constexpr bool is_of_many_tokens(AnswerKind kind) {
  return kind == AnswerKind::scores || kind == AnswerKind::text;
}

/// What a prompt is about.
enum class Subject {
  candidates,  // of a user: all templates that ask for scores
  item,        // these ask for texts (host/text/written_texts.h)
  user,
  example,  // a training row and its label
};
/// "item", "user", "example": how templates and files name them.
std::string_view name_of(Subject subject);

/// The texts, with fields in braces. In `system` and `user`: {domain}, {history}, {candidates}, {count}, and
/// {candidate} for yes_no; in the lines: {label}, {title}, {item}, {attributes}. One that asks for a text has
/// {domain} and, of an item, {candidate}; of a user {history}; of an example both and {decision}, "buys" or
/// "does not buy". Lines that it has no use for are empty.
struct PromptTemplate {
  std::string name;
  AnswerKind answer = AnswerKind::scores;
  Subject about = Subject::candidates;
  std::string system, user, history_line, candidate_line;
};

/// Names of the templates that are built in: scores (after the paper), choice, yes_no, and those that ask for
/// texts.
std::vector<std::string> prompt_templates();
/// The text of a built-in template, a file to begin one's own with. Throws Error naming the nearest name.
const std::string& prompt_template_text(const std::string& name);
/// Reads a built-in template by its name, or a TOML file: whatever has a '/' or ends in ".toml". Throws Error
/// with file and line for unknown or missing keys and for fields that do not exist.
PromptTemplate load_prompt_template(const std::string& name_or_path);
PromptTemplate parse_prompt_template(const std::string& toml, const std::string& origin);

struct Prompt {
  std::string system, user;
};

/// A, B, ..., Z, AA, AB, ... : short, and up to 26 candidates one token each.
std::string candidate_label(std::size_t position);

/// The text of an item, fit for a line of a prompt: white space and control characters shrink to blanks, so
/// that a title cannot forge lines of its own; at most 160 bytes; without a title "item <token>".
std::string item_text(const Dataset& data, Id item);

/// Fills the template. `candidates` are in the order in which the prompt shows them; for yes_no and for texts
/// about an item or an example exactly one. `label`: of an example, whether the user took it.
Prompt render_prompt(const PromptTemplate& prompt, const Dataset& data, const std::string& domain,
                     std::span<const Id> history, std::span<const Id> candidates, bool label = false);

}  // namespace sllmr
