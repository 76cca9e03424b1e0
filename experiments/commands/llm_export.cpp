// `sllmr llm export`: the answers of a cache as JSON lines.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "experiments/commands/llm_command.h"
#include "host/ask/answer_cache.h"
#include "host/base/json_text.h"
#include "host/base/output_file.h"

namespace sllmr {
namespace {

/// Is the first line an exported answer?
bool is_export(const std::string& path) {
  std::string line;
  std::getline(std::ifstream(path, std::ios::binary), line);
  const auto answer = parse_json(line);
  return answer && answer->is_object() && answer->contains("key") && answer->contains("answer") &&
         answer->contains("template");
}

}  // namespace

void add_llm_export(CLI::App& llm) {
  struct Options {
    std::string cache, out;
    bool force = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* write = llm.add_subcommand("export", "Write the answers of a cache as JSON lines");
  write->add_option("cache", options->cache, "Answer cache")->required();
  write->add_option("--out", options->out, "File to write")->required();
  add_force_flag(*write, options->force);
  write->callback([options] {
    require_cache(options->cache);
    AnswerCache cache(options->cache);
    check_output(options->out, std::vector<std::string>{options->cache}, is_export, options->force);
    fmt::print("{} answers in {}\n", cache.export_to(options->out), options->out);
  });
}

}  // namespace sllmr
