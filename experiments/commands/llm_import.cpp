// `sllmr llm import`: score files into their canonical form, and exported answers into a cache.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "experiments/commands/llm_command.h"
#include "host/ask/answer_cache.h"
#include "host/base/output_file.h"
#include "host/data/split.h"
#include "host/scores/leakage_audit.h"
#include "host/scores/score_table.h"
#include "kernels/exec/error.h"

namespace sllmr {

void add_llm_import(CLI::App& llm) {
  struct Options {
    DataFlags data;
    TableFlags table;
    std::string in, cache, server;
    double min_known = kMinKnown;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* convert = llm.add_subcommand(
      "import",
      "Check a score file and write it in its canonical form; or, with --cache, add exported answers");
  convert
      ->add_option("file", options->in,
                   "Score file, TSV or JSON lines (user_id, item_id, score and probe), or exported answers")
      ->required();
  add_data_flags(*convert, options->data);
  add_table_flags(*convert, options->table);
  convert->add_option("--cache", options->cache, "Answer cache to add the answers to");
  convert->add_option("--server", options->server,
                      "Address or name of the server that gave answers of an older version");
  add_min_known_flag(*convert, options->min_known);
  convert->callback([options] {
    if (!options->cache.empty()) {
      require(options->data.path.empty() && options->table.out.empty(),
              "--cache takes answers; --data and --out take scores");
      require(std::filesystem::exists(options->in), fmt::format("there is no file '{}'", options->in));
      AnswerCache cache(options->cache);
      fmt::print("{} new answers in {}\n", cache.import_from(options->in, options->server), options->cache);
      return;
    }
    require(!options->data.path.empty() && !options->table.out.empty(),
            "a score file needs --data and --out");
    const Dataset data = options->data.load();
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
    check_output(options->table.out, inputs_of(data, {options->in}), holds_the_same, options->table.force);
    const LeakageAudit audit = audit_table(table, split);
    if (audit.too_many() || audit.too_few()) {
      fmt::print(stderr, "warning: {}: {}\n", options->in, leak_text(audit));
    }
    write_and_summarise(table, split, options->table);
  });
}

}  // namespace sllmr
