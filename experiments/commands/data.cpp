// `sllmr data stats` and `sllmr data import`.
#include "experiments/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "experiments/commands/import_options.h"
#include "host/data/import.h"
#include "host/data/split.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

struct DataOptions {
  std::string path, out;
  ImportOptions import;
  bool json = false, force = false;
};

/// As data.split names it.
const char* split_name(const Dataset& data, const ImportOptions& options) {
  if (options.split == SplitSource::last_item) return "last_item";
  return data.held_out.empty() ? "leave_one_out" : "given";
}

void print_stats(const Dataset& data, const char* split, bool as_json) {
  const DataStats stats = data_stats(leave_one_out(data));
  const std::string hash = fmt::format("{:016x}", data.hash),
                    feature_hash = fmt::format("{:016x}", data.feature_hash),
                    text_hash = fmt::format("{:016x}", data.text_hash);
  if (as_json) {
    nlohmann::ordered_json json{{"name", data.name},      {"source", data.source},
                                {"hash", hash},           {"feature_hash", feature_hash},
                                {"text_hash", text_hash}, {"split", split}};
    for (const DataFigure& figure : data_figures()) json[figure.name] = stats.*figure.value;
    fmt::print("{}\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  fmt::print("{} ({}), hash {}, features {}, texts {}, split {}\n", data.name, data.source, hash,
             feature_hash, text_hash, split);
  for (const DataFigure& figure : data_figures())
    fmt::print("{:>12}  {}\n", stats.*figure.value, figure.meaning);
}

void add_path(CLI::App& command, DataOptions& options) {
  command.add_option("path", options.path, "File, prefix (../data/beauty) or folder of the data")->required();
  add_import_options(command, options.import, "--format");
}

}  // namespace

void add_data_command(CLI::App& app) {
  CLI::App* data = app.add_subcommand("data", "Describe and convert data sets");
  data->require_subcommand(1);
  const auto options = std::make_shared<DataOptions>();

  CLI::App* stats = data->add_subcommand("stats", "Print the figures of a data set (table 1 of the paper)");
  add_path(*stats, *options);
  stats->add_flag("--json", options->json, "Print one JSON object");
  stats->callback([options] {
    const Dataset dataset = load_dataset(options->path, options->import);
    print_stats(dataset, split_name(dataset, options->import), options->json);
  });

  CLI::App* convert = data->add_subcommand("import", "Convert a data set to RecBole atomic files");
  add_path(*convert, *options);
  convert->add_option("--out", options->out, "Folder that receives NAME.inter and NAME.item")->required();
  convert->add_flag("--force", options->force, "Replace files that this command did not write");
  convert->callback([options] {
    require(options->import.split != SplitSource::last_item,
            "--split last_item is for those who read the files: leave it out, and set data.split=last_item");
    const Dataset dataset = load_dataset(options->path, options->import);
    check_recbole_output(dataset, options->out, options->force);
    save_recbole(dataset, options->out);
    const char* parts = dataset.held_out.empty() ? "" : ".{train,valid,test}";
    fmt::print(
        "wrote {0}/{1}{2}.inter and {0}/{1}.item: {3} users, {4} items, {5} interactions, hash {6:016x}\n",
        options->out, dataset.name, parts, dataset.users.count(), dataset.items.count(),
        dataset.interactions(), dataset.hash);
  });
}

}  // namespace sllmr
