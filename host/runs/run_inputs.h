// What a run's figures come from, and whether it is still there: stored work is reused only where all of it
// is.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "host/base/safetensors.h"
#include "host/config/config.h"
#include "host/data/dataset.h"
#include "host/text/text_vectors.h"

namespace sllmr {

/// Raised by one with every change of the program that gives other figures for the same configuration, data
/// and scores (another draw, order of sums, default split, formula), or cannot read what a run stored; not
/// for one that only adds or speeds up. Which of two nearly equal scores `full` has above the other depends
/// on the processor's products and does not count.
inline constexpr int kNumbersVersion = 7;

/// Hashes of what a run reads. Of a table of scores, as it was read or made: what llm.stale_weight and
/// llm.noise make of it follows from the configuration.
struct RunInputs {
  std::uint64_t data = 0, features = 0, texts = 0;  // see Dataset
  std::uint64_t scores = 0;                         // 0: none, or made anew from data and texts
  std::uint64_t vectors = 0;                        // the same
  std::uint64_t gate = 0;                           // headers of gate parts (host/guidance/gate_module.h)
};
RunInputs run_inputs(const Dataset& data, std::uint64_t scores = 0, std::uint64_t vectors = 0,
                     std::uint64_t gate = 0);
/// Of vectors that were read, and of the files of written_files_of(); 0 for none, and for vectors that
/// config.llm.encoder makes anew. Throws Error for a file that cannot be read.
std::uint64_t vectors_hash(const Config& config, const TextVectors* vectors);

/// By the names under which summaries and checkpoints store them: "numbers_version", "data_hash",
/// "feature_hash", "text_hash", "scores_hash", "vectors_hash", "gate_hash".
std::map<std::string, std::string> stored_form(const RunInputs& inputs);

/// Looks a name of stored_form() up in something stored; "" where it is missing.
using StoredValue = std::function<std::string(const std::string& name)>;
/// The same in a checkpoint.
std::string stored_value(const SafetensorsFile& checkpoint, const std::string& name);

/// What of all that the run of `config` depends on was another when the stored run was made: "the data at
/// 'beauty' (580f.. then, 41c3.. now)"; empty for nothing. Features count for backbones that read them, texts
/// where a scorer or an encoder reads them in training.
std::string changed_input(const Config& config, const RunInputs& now, const StoredValue& stored);

/// "train.lr was 0.01, is 0.02": the first key that decides figures and was another when a run was stored,
/// whose decisive() configuration `then` is; empty for none. Keys that a run of `now` has no use for do not
/// count.
std::string changed_configuration(const Config& then, const Config& now);

/// Throws Error naming `path` where changed_configuration() finds one.
void require_same_configuration(const std::string& path, const Config& then, const Config& now);

/// The configuration without what the figures do not depend on: the folder, where a value was set and, as the
/// exact mode and CUDA give the same bits with any number of them, the threads. Device and threads that are
/// left open become those of this machine.
Config decisive(Config config);

}  // namespace sllmr
