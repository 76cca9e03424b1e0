#include "experiments/commands/llm_command.h"

#include <fmt/format.h>

#include <cmath>
#include <ctime>
#include <filesystem>
#include <optional>

#include "experiments/commands/flags.h"
#include "host/base/output_file.h"
#include "host/scores/table_origin.h"
#include "kernels/exec/error.h"

namespace sllmr {

CLI::Option* add_data_flags(CLI::App& command, DataFlags& data) {
  CLI::Option* option =
      command.add_option("--data", data.path, "File, prefix (../data/beauty) or folder of the data");
  add_import_options(command, data.import, "--data-format");
  return option;
}

CLI::Option* add_table_flags(CLI::App& command, TableFlags& table) {
  CLI::Option* option = command.add_option("--out", table.out, "Score file to write");
  command.add_option("--format", table.format, "Format of the score file")
      ->check(CLI::IsMember({"tsv", "jsonl"}))
      ->capture_default_str();
  add_force_flag(command, table.force);
  return option;
}

void add_force_flag(CLI::App& command, bool& force) {
  command.add_flag("--force", force, "Replace files that this command did not make");
}

void add_min_known_flag(CLI::App& command, double& min_known) {
  command
      .add_option("--min-known", min_known,
                  "Least share of a table's rows that must name users and items of the data")
      ->check(number_in(0.0, 1.0))
      ->capture_default_str();
}

void check_noted_output(const std::string& path, const std::vector<std::string>& inputs, bool force) {
  require_folder_of(path);
  std::optional<TableOrigin> origin;
  try {
    origin = read_origin(path);
  } catch (const Error&) {  // the note is something else
  }
  check_output(
      path, inputs, [&](const std::string& file) { return origin && is_origin_of(*origin, file); }, force);
  check_output(
      origin_path(path), inputs, [&](const std::string&) { return origin.has_value(); }, force);
}

std::vector<std::string> inputs_of(const Dataset& data, std::initializer_list<std::string> more) {
  std::vector<std::string> files = data.files;
  files.insert(files.end(), more);
  return files;
}

void write_and_summarise(const ScoreTable& scores, const Split& split, const TableFlags& table) {
  write_scores(table.out, scores, *split.data, table.format == "jsonl");
  const ScoreStats stats = score_stats(scores, split);
  fmt::print("wrote {} (scores of {} for {})\n", table.out, scores.scorer, split.data->name);
  fmt::print("{:>12}  pairs, scores from {} to {}\n", stats.pairs, stats.lowest, stats.highest);
  if (!scores.variances.empty()) {
    fmt::print("{:>12.4f}  mean judge variance (0 to 1) over orders of the candidates, at most {:.4f}\n",
               stats.variance, stats.highest_variance);
  }
  fmt::print("{:>12}  users of {}\n", stats.users, split.data->users.count());
  fmt::print("{:>12}  cold users\n", stats.cold_users);
  fmt::print("{:>12}  probes\n", stats.probes);
  const auto print_share = [](double share, const char* of) {
    fmt::print("{:>12}  {}\n", std::isnan(share) ? "none" : fmt::format("{:.3f}", share), of);
  };
  print_share(stats.agreement, "agreement: share of the other candidates ranked below the probe, ties half");
  print_share(stats.agreement_cold, "of cold users");
  print_share(stats.agreement_warm, "of warm users");
}

std::int64_t now() {
  return static_cast<std::int64_t>(std::time(nullptr));
}

void require_cache(const std::string& path) {
  require(std::filesystem::exists(path), fmt::format("there is no answer cache '{}'", path));
}

}  // namespace sllmr
