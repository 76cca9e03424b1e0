// Who hears, beside the terminal or instead of it, what goes on: a program that has the library in it.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "kernels/exec/not_copied.h"

namespace sllmr {

/// Called by the thread that works.
class Listener {
 public:
  virtual ~Listener() = default;

  /// Does it take the bars, so that none is drawn?
  virtual bool takes_progress() const = 0;
  /// At most ten times a second. `unit` is a plural ("triples"), empty where a rate says nothing.
  virtual void progress(const std::string& what, std::int64_t done, std::int64_t total,
                        const std::string& unit) = 0;
  /// An event of a run, as metrics.jsonl has it.
  virtual void event(const nlohmann::json& event) = 0;
  /// What say() would print.
  virtual void note(std::string_view line) = 0;
};

/// While it lives, `listener` hears. One at a time.
class Listening : NotCopied {
 public:
  explicit Listening(Listener& listener);
  ~Listening();
};

/// Who hears now, or null.
Listener* listener();

}  // namespace sllmr
