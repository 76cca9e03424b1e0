// Every method of guidance. Config, commands, summaries and tests enumerate this list.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "host/guidance/guidance.h"

namespace sllmr {

const std::vector<GuidanceInfo>& guidance_methods();
/// Every word that `method=` takes.
std::vector<std::string> method_names();
/// The method that a word of them chooses; null for another word.
const GuidanceInfo* guidance_of(std::string_view word);
/// The method of config.method. Throws Error for an unknown word, and where the configuration does not fit
/// the method.
const GuidanceInfo& find_guidance(const Config& config);
/// What it reads. Throws as find_guidance().
GuidanceReads reads_of(const Config& config);
/// Its GuidanceInfo::files. Throws as find_guidance().
std::vector<std::string> written_files_of(const Config& config);
/// The text vectors that training with config.method reads; null where it reads none. Throws as
/// find_guidance() and text_vectors_of().
std::shared_ptr<const TextVectors> vectors_for(const Config& config, const Dataset& data);
/// The examples that its batches bring along; null for none. `vectors` are those of vectors_for(). Throws as
/// find_guidance(), and where there are no examples to be had.
std::shared_ptr<const ExampleSource> examples_for(const Config& config, const Split& split,
                                                  const std::shared_ptr<const TextVectors>& vectors);
/// The keys of [llm], [gate] and of other methods that config.method has no use for. Throws as
/// find_guidance().
std::vector<UnusedKey> keys_unused_by_method(const Config& config);
/// What reports show of the guidance of runs with these words as method=, in tables of runs, or of one run.
std::vector<GuidanceColumn> guidance_columns(const std::vector<std::string>& words, bool in_tables);

}  // namespace sllmr
