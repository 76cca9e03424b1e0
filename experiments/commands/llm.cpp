#include "experiments/commands/llm.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <utility>

#include "experiments/commands/flags.h"
#include "experiments/commands/import_options.h"
#include "experiments/report/llm_report.h"
#include "experiments/report/text.h"
#include "host/atomic_file.h"
#include "host/data/import.h"
#include "host/json_text.h"
#include "host/llm/answer_cache.h"
#include "host/llm/plan.h"
#include "host/llm/prompt.h"
#include "host/llm/questions.h"
#include "host/llm/redact.h"
#include "host/llm/report.h"
#include "host/llm/scorer.h"
#include "host/llm/table_origin.h"
#include "host/output_file.h"
#include "kernels/exec/error.h"
#include "kernels/exec/interrupt.h"

namespace sllmr {
namespace {

using nlohmann::json;

constexpr int kMostItems = 100'000;  // of a prompt
constexpr double kDay = 86400;       // in seconds
constexpr double kMost = 1e15;       // tokens, prompts, money: beyond any bill, and exact as a double

struct LlmOptions {
  ImportOptions import;
  std::string data, in, out, scorer;
  std::string format = "tsv";
  CandidateOptions candidates;
  ScorerOptions scoring;
  Budget budget;
  std::string priority = "sampled";
  std::string key_variable;
  std::vector<std::string> parameters;
  bool forecast_only = false, force = false;
  double min_known = kMinKnown;
};

std::int64_t now() {
  return static_cast<std::int64_t>(std::time(nullptr));
}

void add_data_option(CLI::App& command, LlmOptions& options) {
  command.add_option("--data", options.data, "File, prefix (../data/beauty) or folder of the data")
      ->required();
  add_import_options(command, options.import, "--data-format");
}

void add_table_options(CLI::App& command, LlmOptions& options) {
  command.add_option("--out", options.out, "Score file to write")->required();
  command.add_option("--format", options.format, "Format of the score file")
      ->check(CLI::IsMember({"tsv", "jsonl"}))
      ->capture_default_str();
}

void add_force(CLI::App& command, LlmOptions& options) {
  command.add_flag("--force", options.force, "Replace files that this command did not make");
}

void add_min_known(CLI::App& command, LlmOptions& options) {
  command
      .add_option("--min-known", options.min_known,
                  "Least share of a table's rows that must name users and items of the data")
      ->check(number_in(0.0, 1.0))
      ->capture_default_str();
}

/// The files of the data and `more`.
std::vector<std::string> inputs_of(const Dataset& data, std::initializer_list<std::string> more) {
  std::vector<std::string> files = data.files;
  files.insert(files.end(), more);
  return files;
}

bool has_origin(const std::string& table) {
  try {
    return read_origin(table).has_value();
  } catch (const Error&) {  // TABLE.json is something else
    return false;
  }
}

/// Looks at the table that the scores will go to, and at its origin.
void check_table_output(const LlmOptions& options, const Dataset& data) {
  const std::vector<std::string> inputs =
      inputs_of(data, {options.in, options.scoring.prompt, options.scoring.cache});
  check_output(options.out, inputs, has_origin, options.force);
  check_output(
      origin_path(options.out), inputs, [&](const std::string&) { return has_origin(options.out); },
      options.force);
}

void write_and_summarise(const ScoreTable& table, const Split& split, const LlmOptions& options) {
  write_scores(options.out, table, *split.data, options.format == "jsonl");
  const ScoreStats stats = score_stats(table, split);
  fmt::print("wrote {} (scores of {} for {})\n", options.out, table.scorer, split.data->name);
  fmt::print("{:>12}  pairs, scores from {} to {}\n", stats.pairs, stats.lowest, stats.highest);
  fmt::print("{:>12}  users of {}\n", stats.users, split.data->users.count());
  fmt::print("{:>12}  cold users\n", stats.cold_users);
  fmt::print("{:>12}  probes\n", stats.probes);
  fmt::print("{:>12.3f}  agreement: share of the other candidates ranked below the probe, ties half\n",
             stats.agreement);
  fmt::print("{:>12.3f}  of cold users\n", stats.agreement_cold);
  fmt::print("{:>12.3f}  of warm users\n", stats.agreement_warm);
}

void print_summary(const ScoreSummary& s) {
  fmt::print("{:>12}  pairs without a judgement, taken as {}\n", s.defaulted, kNoJudgement);
  if (s.answers == 0) return;
  fmt::print("{:>12}  answers: {} from the cache, {} bad, {} without a reply\n", s.answers, s.cached, s.bad,
             s.failed);
  fmt::print(
      "{:>12}  scores missing, {} not a number, {} out of range, {} repeated, {} contradicted, {} unknown, "
      "{} "
      "converted\n",
      s.faults.missing, s.faults.not_a_number, s.faults.out_of_range, s.faults.repeated,
      s.faults.contradicted, s.faults.unknown, s.faults.converted);
  fmt::print("{:>12}  answers cut off by the limit of tokens, {} stopped by a filter, {} refused\n",
             s.cut_off, s.filtered, s.refused);
  fmt::print("{:>12}  second tries: {} rate limit, {} server error, {} time-out, {} broken, {} malformed\n",
             s.http.rate_limited + s.http.server_errors + s.http.timeouts + s.http.broken + s.http.rejected,
             s.http.rate_limited, s.http.server_errors, s.http.timeouts, s.http.broken, s.http.rejected);
  fmt::print("{:>12}  tokens in, {} out; of this run {} and {}\n", s.tokens_in, s.tokens_out,
             s.paid_tokens_in, s.paid_tokens_out);
  fmt::print("{:>12.4f}  money; of this run {:.4f}, in {:.1f} s\n", s.money, s.paid_money, s.seconds);
  for (const std::string& example : s.examples) fmt::print("bad answer of {}\n", example);
}

json to_json(const Forecast& f) {
  return {{"prompts", f.prompts},
          {"cached", f.cached},
          {"to_ask", f.prompts - f.cached},
          {"tokens_in", std::round(f.tokens_in)},
          {"tokens_out", std::round(f.tokens_out)},
          {"money", f.money},
          {"seconds", std::isfinite(f.seconds) ? json(f.seconds) : json()},
          {"tokens_per_byte", f.tokens_per_byte}};
}

json to_json(const PlanAudit& audit) {
  return {{"sets", audit.sets},
          {"history_items", audit.history_items},
          {"candidates", audit.candidates},
          {"held_out_in_history", audit.held_out_in_history},
          {"probe_in_history", audit.probe_in_history},
          {"foreign_in_history", audit.foreign_in_history},
          {"train_in_candidates", audit.train_in_candidates},
          {"held_out_in_candidates", audit.held_out_in_candidates}};
}

/// The extra parameters of the requests, as the table's note keeps them: equal where they are, and without
/// what may be a secret. Texts, lists and objects are kept as a hash.
json kept_parameters(const std::map<std::string, std::string>& parameters) {
  json kept = json::object();
  for (const auto& [name, text] : parameters) {
    const json value = parse_json(text).value_or(json());
    const bool plain = value.is_boolean() || value.is_null() || value.is_number();
    kept[name] = plain && text.size() < kShortestRedactedKey ? value : json("hash " + answer_key({text}));
  }
  return kept;
}

/// What of the options makes the scores what they are. No address, no key.
json settings(const LlmOptions& options) {
  const ScorerOptions& s = options.scoring;
  return {{"candidates", options.candidates.per_user},
          {"history", options.candidates.prompt_history},
          {"seed", options.candidates.seed},
          {"permutations", s.permutations},
          {"debias", s.debias},
          {"temperature", s.chat.temperature},
          {"max_tokens", s.chat.max_tokens},
          {"parameters", kept_parameters(s.chat.extra)},
          {"domain", s.domain},
          {"priority", options.priority},
          {"budget",
           {{"users", options.budget.users},
            {"prompts", options.budget.prompts},
            {"tokens", options.budget.tokens},
            {"money", options.budget.money}}},
          {"prices", {{"in", s.prices.in}, {"out", s.prices.out}}}};
}

void read_parameters(LlmOptions& options) {
  for (const std::string& parameter : options.parameters) {
    const auto equals = parameter.find('=');
    // What was given is not repeated: it may be a secret.
    require(equals != parameter.npos && equals > 0, "--param: expected NAME=JSON, such as seed=1");
    const std::string name = parameter.substr(0, equals), value = parameter.substr(equals + 1);
    require(parse_json(value).has_value(),
            fmt::format("--param {0}: the value is not JSON, or nested too deep; quote texts twice: "
                        "{0}='\"text\"'",
                        name));
    options.scoring.chat.extra[name] = value;
  }
}

/// The sets that the budget allows, audited.
std::vector<CandidateSet> plan(const Split& split, const LlmOptions& options, bool asks) {
  Priority priority = Priority::sampled;
  for (int k = 0; k < 4; ++k) {
    if (options.priority == kPriorities[k]) priority = static_cast<Priority>(k);
  }
  auto sets = plan_candidates(split, options.candidates);
  const Budget& budget = options.budget;
  const bool limited = budget.users > 0 || budget.prompts > 0 || budget.tokens > 0 || budget.money > 0;
  if (!limited && !asks) return sets;
  const auto cost = [&](const CandidateSet& set) {
    if (!asks || (budget.prompts == 0 && budget.tokens <= 0 && budget.money <= 0)) return SetCost();
    const std::vector<CandidateSet> one = {set};
    const ScoreJob job{split, one, options.scoring};
    const Questions questions(job);
    SetCost sum;
    for (std::int64_t k = 0; k < questions.count(); ++k) {
      constexpr double kTokensPerByte = 0.25;
      const Question question = questions.at(k);
      const double in = kTokensPerByte * static_cast<double>(question.prompt_bytes),
                   out = questions.expected_answer_tokens(question);
      ++sum.prompts;
      sum.tokens += in + out;
      sum.money += options.scoring.prices.of(in, out);
    }
    return sum;
  };
  sets = choose_sets(split, std::move(sets), priority, budget, options.candidates.seed, cost);
  require(!sets.empty(), "the budget allows for no user; raise it");
  return sets;
}

void run_score(LlmOptions& options) {
  const ScorerInfo& scorer = find_scorer(options.scorer);
  ScorerOptions& scoring = options.scoring;
  read_parameters(options);
  ServerKey key = server_key(scoring.url, options.key_variable);
  if (!key.note.empty()) fmt::print(stderr, "note: {}\n", key.note);
  scoring.http.key = std::move(key.key);
  scoring.file = options.in;
  scoring.min_known = options.min_known;
  scoring.seed = options.candidates.seed;
  scoring.progress = true;
  if (scoring.cache.empty()) scoring.cache = options.out + ".cache";

  const Dataset data = load_dataset(options.data, options.import);
  if (!options.forecast_only) check_table_output(options, data);
  const Split split = leave_one_out(data);
  const auto sets = plan(split, options, scorer.asks);
  const PlanAudit audit = audit_plan(split, sets);
  require(audit.clean(), fmt::format("the plan leaks: {}", to_json(audit).dump()));
  const ScoreJob job{split, sets, scoring};

  json foreseen;
  std::string prompt_name = scorer.name;
  if (scorer.asks) {
    prompt_name = load_prompt_template(scoring.prompt).name;
    const Forecast f = forecast(job);
    foreseen = to_json(f);
    fmt::print("{:>12}  prompts for {} users, {} of them in the cache\n", f.prompts, sets.size(), f.cached);
    fmt::print("{:>12.0f}  tokens in and {:.0f} out to pay (estimate, {:.2f} tokens a byte)\n", f.tokens_in,
               f.tokens_out, f.tokens_per_byte);
    fmt::print("{:>12.4f}  money\n", f.money);
    if (std::isfinite(f.seconds)) fmt::print("{:>12.0f}  seconds\n", f.seconds);
    std::fflush(stdout);
    if (const auto old = AnswerCache(scoring.cache).without_server(); old > 0) {
      fmt::print(
          stderr,
          "note: {} answers in {} are of an older version, which did not keep their server; they are not "
          "used. To use them: sllmr llm export CACHE --out FILE, and sllmr llm import FILE --cache CACHE "
          "--server ADDRESS\n",
          old, scoring.cache);
    }
  }
  if (options.forecast_only) {
    require(scorer.asks, fmt::format("the scorer {} has no bill to forecast", scorer.name));
    return;
  }

  const ScoreResult result = scorer.run(job);
  if (result.interrupted) {
    fmt::print("stopped; {} answers are in {}, and the same command goes on\n", result.summary.answers,
               scoring.cache);
    throw Interrupted();
  }
  if (!result.pending.empty()) {
    fmt::print("{}\n", result.pending);
    return;
  }
  const std::string who =
      scoring.chat.model.empty() ? scorer.name : fmt::format("{}:{}", scorer.name, scoring.chat.model);
  const ScoreTable table = make_score_table(data, result.scores, who);
  write_and_summarise(table, split, options);
  print_summary(result.summary);
  TableOrigin origin{scorer.name, scoring.chat.model, prompt_name, data.name, data.hash, now(),
                     {},          data.text_hash};
  origin.run = {{"settings", settings(options)}, {"summary", result.summary}, {"audit", to_json(audit)}};
  if (scorer.asks) origin.run["forecast"] = foreseen;
  write_origin(options.out, origin);
}

void add_score_command(CLI::App& llm) {
  const auto options = std::make_shared<LlmOptions>();
  CandidateOptions& candidates = options->candidates;
  ScorerOptions& scoring = options->scoring;
  std::string names;
  for (const ScorerInfo& scorer : scorers()) names += fmt::format("\n{}: {}", scorer.name, scorer.summary);

  CLI::App* score = llm.add_subcommand("score", "Choose candidates for every user and score them");
  add_data_option(*score, *options);
  add_table_options(*score, *options);
  const auto add = [&](const char* name, auto& value, const std::string& doc) {
    return score->add_option(name, value, doc)->capture_default_str();
  };
  add("--scorer", options->scorer, "Who scores" + names)->required();
  const auto number = [&](const char* name, auto& value, const char* doc, auto low, auto high) {
    return add(name, value, doc)->check(number_in(low, high));
  };
  number("--candidates", candidates.per_user, "Candidates of a user, the probe among them", 2, kMostItems);
  number("--history", candidates.prompt_history, "Training items before the probe that the scorer sees", 1,
         kMostItems);
  number("--seed", candidates.seed, "Seed of the candidates and of their order", std::int64_t{0},
         std::numeric_limits<std::int64_t>::max());

  add("--url", scoring.url, "Address of the server, up to and with /v1")->group("Server");
  add("--server", scoring.server, "Name of the server in the answer cache (default: its address)")
      ->group("Server");
  add("--model", scoring.chat.model, "Model, as the server calls it")->group("Server");
  add("--key-env", options->key_variable,
      "Environment variable that holds the key (default: OPENAI_API_KEY, and that for https://api.openai.com "
      "alone)")
      ->group("Server");
  number("--in-flight", scoring.http.in_flight, "Requests under way at a time", 1, 4096)->group("Server");
  number("--requests-per-minute", scoring.http.requests_per_minute, "0: no limit", 0.0, kMost)
      ->group("Server");
  number("--tokens-per-minute", scoring.http.tokens_per_minute, "0: no limit", 0.0, kMost)->group("Server");
  number("--timeout", scoring.http.timeout_s, "Seconds until a try counts as failed", 0.001, kDay)
      ->group("Server");
  number("--tries", scoring.http.max_tries, "Tries a request", 1, 1000)->group("Server");
  number("--retry-delay", scoring.http.first_delay_s, "Seconds before the second try; doubles with each",
         0.001, kDay)
      ->group("Server");

  add("--template", scoring.prompt, "Prompt: scores, choice, yes_no, or a TOML file (see llm prompt)")
      ->group("Prompt");
  add("--domain", scoring.domain, "What the prompt calls the shop (default: name of the data)")
      ->group("Prompt");
  number("--permutations", scoring.permutations,
         "Prompts a user, candidates in another order; scores are averaged", 1, 100)
      ->group("Prompt");
  add("--debias", scoring.debias, "Template choice: take off what a position gets on average")
      ->group("Prompt");
  number("--temperature", scoring.chat.temperature, "Sampling temperature", 0.0, 100.0)->group("Prompt");
  number("--max-tokens", scoring.chat.max_tokens, "Most tokens of an answer; 0: the server decides", 0,
         std::numeric_limits<int>::max())
      ->group("Prompt");
  number("--top-logprobs", scoring.chat.top_logprobs, "Tokens with log-probabilities (choice, yes_no)", 1,
         1000)
      ->group("Prompt");
  score->add_option("--param", options->parameters, "More of the request, NAME=JSON; may be repeated")
      ->group("Prompt");

  add("--cache", scoring.cache, "Answer cache (default: OUT.cache)")->group("Run");
  add("--batch", scoring.batch, "Folder of batch files (scorer batch)")->group("Run");
  add("--in", options->in, "Finished table (scorer file)")->group("Run");
  add_min_known(*score, *options);
  add_force(*score, *options);
  number("--max-bad", scoring.max_bad_share, "Share of bad answers above which the run stops", 0.0, 1.0)
      ->group("Run");
  score->add_flag("--forecast", options->forecast_only, "Say what it would cost, and ask nobody")
      ->group("Run");

  const auto budget = [&](const char* name, auto& value, const char* doc) {
    number(name, value, doc, std::decay_t<decltype(value)>{0}, std::decay_t<decltype(value)>(kMost))
        ->group("Budget");
  };
  budget("--users", options->budget.users, "Most users; 0: all");
  budget("--budget-prompts", options->budget.prompts, "Most prompts; 0: no limit");
  budget("--budget-tokens", options->budget.tokens, "Most tokens, by estimate; 0: no limit");
  budget("--budget-money", options->budget.money, "Most money at these prices; 0: no limit");
  budget("--price-in", scoring.prices.in, "Money per million tokens in");
  budget("--price-out", scoring.prices.out, "Money per million tokens out");
  add("--priority", options->priority, "Whom to ask first: sampled, cold, tail, uncertain")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kPriorities), std::end(kPriorities))))
      ->group("Budget");
  score->callback([options] { run_score(*options); });
}

void add_prompt_command(CLI::App& llm) {
  struct Options {
    std::string name = "scores", data, user;
    ImportOptions import;
    int candidates = 20;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* show =
      llm.add_subcommand("prompt", "Print a built-in template, or with --data the prompt of a user");
  show->add_option("template", options->name, "scores, choice, yes_no, or a TOML file")
      ->capture_default_str();
  CLI::Option* data_option = show->add_option("--data", options->data, "File, prefix or folder of the data");
  add_import_options(*show, options->import, "--data-format");
  show->add_option("--user", options->user, "Raw id of the user (default: the first)")->needs(data_option);
  show->add_option("--candidates", options->candidates, "Candidates of a user")
      ->check(number_in(2, kMostItems))
      ->capture_default_str();
  show->callback([options] {
    if (options->data.empty()) {
      require(
          !options->name.ends_with(".toml"),
          fmt::format("'{}' is a file, which prints itself; give --data for a user's prompt", options->name));
      fmt::print("{}", prompt_template_text(options->name));
      return;
    }
    const PromptTemplate prompt = load_prompt_template(options->name);
    const Dataset data = load_dataset(options->data, options->import);
    const Split split = leave_one_out(data);
    const Id user = options->user.empty() ? 1 : data.users.find(options->user);
    require(user > 0 && user < data.users.rows(),
            fmt::format("no user '{}' in {}", options->user, data.name));
    CandidateOptions candidates;
    candidates.per_user = options->candidates;
    const CandidateSet set = plan_candidates(split, candidates)[static_cast<std::size_t>(user) - 1];
    const std::span<const Id> all = set.candidates;
    const Prompt text = render_prompt(prompt, data, data.name, set.history,
                                      prompt.answer == AnswerKind::yes_no ? all.first(1) : all);
    if (!text.system.empty()) fmt::print("{}\n\n", text.system);
    fmt::print("{}\n", text.user);
  });
}

void add_import_command(CLI::App& llm) {
  const auto options = std::make_shared<LlmOptions>();
  CLI::App* convert = llm.add_subcommand(
      "import",
      "Check a score file and write it in its canonical form; or, with --cache, add exported answers");
  convert
      ->add_option("file", options->in,
                   "Score file, TSV or JSON lines (user_id, item_id, score and probe), or exported answers")
      ->required();
  convert->add_option("--data", options->data, "File, prefix (../data/beauty) or folder of the data");
  add_import_options(*convert, options->import, "--data-format");
  convert->add_option("--out", options->out, "Score file to write");
  convert->add_option("--format", options->format, "Format of the score file")
      ->check(CLI::IsMember({"tsv", "jsonl"}))
      ->capture_default_str();
  convert->add_option("--cache", options->scoring.cache, "Answer cache to add the answers to");
  convert->add_option("--server", options->scoring.server,
                      "Address or name of the server that gave answers of an older version");
  add_min_known(*convert, *options);
  add_force(*convert, *options);
  convert->callback([options] {
    if (!options->scoring.cache.empty()) {
      require(options->data.empty() && options->out.empty(),
              "--cache takes answers; --data and --out take scores");
      require(std::filesystem::exists(options->in), fmt::format("there is no file '{}'", options->in));
      AnswerCache cache(options->scoring.cache);
      fmt::print("{} new answers in {}\n", cache.import_from(options->in, options->scoring.server),
                 options->scoring.cache);
      return;
    }
    require(!options->data.empty() && !options->out.empty(), "a score file needs --data and --out");
    const Dataset data = load_dataset(options->data, options->import);
    const Split split = leave_one_out(data);
    const ScoreTable table = read_scores(options->in, split, options->min_known);
    const auto holds_the_same = [&](const std::string& path) {
      try {
        const ScoreTable there = read_scores(path, split);
        return there.offsets == table.offsets && there.items == table.items && there.scores == table.scores &&
               there.probe == table.probe && there.unknown_rows == 0;
      } catch (const Error&) {
        return false;
      }
    };
    check_output(options->out, inputs_of(data, {options->in}), holds_the_same, options->force);
    const LeakageAudit audit = audit_table(table, split);
    if (audit.too_many() || audit.too_few()) {
      fmt::print(stderr, "warning: {}: {}\n", options->in, leak_text(audit));
    }
    write_and_summarise(table, split, *options);
  });
}

/// Is the first line an exported answer?
bool is_export(const std::string& path) {
  std::string line;
  std::getline(std::ifstream(path, std::ios::binary), line);
  const auto answer = parse_json(line);
  return answer && answer->is_object() && answer->contains("key") && answer->contains("answer") &&
         answer->contains("template");
}

void add_cache_commands(CLI::App& llm) {
  const auto options = std::make_shared<LlmOptions>();
  const auto open = [](const std::string& path) {
    require(std::filesystem::exists(path), fmt::format("there is no answer cache '{}'", path));
    return AnswerCache(path);
  };
  CLI::App* write = llm.add_subcommand("export", "Write the answers of a cache as JSON lines");
  write->add_option("cache", options->scoring.cache, "Answer cache")->required();
  write->add_option("--out", options->out, "File to write")->required();
  add_force(*write, *options);
  write->callback([=] {
    AnswerCache cache = open(options->scoring.cache);
    check_output(options->out, std::vector<std::string>{options->scoring.cache}, is_export, options->force);
    fmt::print("{} answers in {}\n", cache.export_to(options->out), options->out);
  });
  CLI::App* stats =
      llm.add_subcommand("stats", "What a cache holds: answers, tokens and seconds by model and template");
  stats->add_option("cache", options->scoring.cache, "Answer cache")->required();
  stats->callback([=] {
    AnswerCache cache = open(options->scoring.cache);
    std::vector<std::vector<std::string>> rows = {
        {"model, template", "answers", "tokens in", "tokens out", "seconds each"}};
    for (const auto& [who, sums] : cache.sums()) {
      rows.push_back({fmt::format("{}, {}", who.first, who.second), fmt::format("{}", sums.answers),
                      fmt::format("{}", sums.tokens_in), fmt::format("{}", sums.tokens_out),
                      fmt::format("{:.3f}", sums.seconds / static_cast<double>(sums.answers))});
    }
    fmt::print("{}", aligned(rows));
  });
}

/// Does the folder's report.json, and with it the rest, come from `llm report`?
bool is_report(const std::string& folder) {
  std::ifstream in(folder + "/report.json", std::ios::binary);
  const auto report = parse_json(std::string{std::istreambuf_iterator<char>(in), {}});
  return report && report->is_object() && report->contains("leakage") && report->contains("reliability") &&
         report->contains("calibration");
}

constexpr const char* kReportFiles[] = {"report.md", "report.json", "reliability.svg"};

void add_report_command(CLI::App& llm) {
  const auto options = std::make_shared<LlmOptions>();
  CLI::App* command = llm.add_subcommand(
      "report", "Leakage, coverage, cost, reliability and calibration of a score table, before any training");
  add_data_option(*command, *options);
  command->add_option("--scores", options->in, "Score file")->required();
  command->add_option("--out", options->out, "Folder for report.md, report.json and reliability.svg");
  add_min_known(*command, *options);
  add_force(*command, *options);
  command->callback([options] {
    const Dataset data = load_dataset(options->data, options->import);
    const Split split = leave_one_out(data);
    for (const char* name : kReportFiles) {
      if (options->out.empty()) break;
      check_output(
          options->out + "/" + name, inputs_of(data, {options->in, origin_path(options->in)}),
          [&](const std::string&) { return is_report(options->out); }, options->force);
    }
    const ScoreTable table = read_scores(options->in, split, options->min_known);
    const json result = report(table, split, read_origin(options->in), now());
    const std::string text = llm_report_text(result);
    fmt::print("{}", text);
    if (options->out.empty()) return;
    std::error_code error;
    std::filesystem::create_directories(options->out, error);
    require(!error, fmt::format("cannot make the folder '{}': {}", options->out, error.message()));
    const auto write = [&](const char* name, const std::string& content) {
      AtomicFile file(options->out + "/" + name);
      file.stream() << content;
      file.commit();
    };
    write(kReportFiles[0], text);
    write(kReportFiles[1], result.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
    write(kReportFiles[2], reliability_svg(result));
  });
}

}  // namespace

void add_llm_command(CLI::App& app) {
  CLI::App* llm = app.add_subcommand("llm", "Make and check tables of offline LLM scores");
  llm->require_subcommand(1);
  add_score_command(*llm);
  add_report_command(*llm);
  add_prompt_command(*llm);
  add_import_command(*llm);
  add_cache_commands(*llm);
}

}  // namespace sllmr
