// `sllmr llm report`: how good a score table is.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "experiments/commands/llm_command.h"
#include "experiments/report/llm_report.h"
#include "host/base/atomic_file.h"
#include "host/base/json_text.h"
#include "host/base/output_file.h"
#include "host/data/split.h"
#include "host/scores/report.h"
#include "host/scores/score_table.h"
#include "host/scores/table_origin.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

using nlohmann::json;

/// Does the folder's report.json, and with it the rest, come from `llm report`?
bool is_report(const std::string& folder) {
  std::ifstream in(folder + "/report.json", std::ios::binary);
  const auto report = parse_json(std::string{std::istreambuf_iterator<char>(in), {}});
  return report && report->is_object() && report->contains("leakage") && report->contains("reliability") &&
         report->contains("calibration");
}

constexpr const char* kReportFiles[] = {"report.md", "report.json", "reliability.svg"};

}  // namespace

void add_llm_report(CLI::App& llm) {
  struct Options {
    DataFlags data;
    std::string in, out;
    double min_known = kMinKnown;
    bool force = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* command = llm.add_subcommand(
      "report", "Leakage, coverage, cost, reliability and calibration of a score table, before any training");
  add_data_flags(*command, options->data)->required();
  command->add_option("--scores", options->in, "Score file")->required();
  command->add_option("--out", options->out, "Folder for report.md, report.json and reliability.svg");
  add_min_known_flag(*command, options->min_known);
  add_force_flag(*command, options->force);
  command->callback([options] {
    const Dataset data = options->data.load();
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

}  // namespace sllmr
