#include "bench/company.h"

#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "bench/measure.h"
#include "host/base/stopwatch.h"
#include "host/config/config.h"
#include "host/train/trainer.h"
#include "kernels/exec/error.h"
#include "kernels/exec/not_copied.h"

namespace sllmr::bench {
namespace {

/// A process that keeps a core busy.
class Hog : NotCopied {
 public:
  Hog() {
    std::array<char*, 4> words{const_cast<char*>("sh"), const_cast<char*>("-c"),
                               const_cast<char*>("while kill -0 $PPID 2>/dev/null; do :; done"), nullptr};
    require(posix_spawnp(&pid_, "sh", nullptr, nullptr, words.data(), environ) == 0, "cannot start sh");
  }
  ~Hog() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = 0;
};

struct Case {
  const char* name;
  const char* what;
  std::vector<std::string> words;
};

std::vector<Case> cases() {
  return {{"mf", "fused SGD, width 64", {"model.width=64"}},
          {"mf_exact",
           "lazy Adam, batches of 2,048",
           {"model.width=64", "train.mode=exact", "train.optimizer=lazy_adam", "train.lr=0.001",
            "train.l2=1e-4", "train.batch_size=2048"}},
          {"deepfm",
           "DeepFM, dense Adam, batches of 128",
           {"model.name=deepfm", "model.width=32", "train.loss=bce", "train.mode=exact",
            "train.optimizer=adam", "train.lr=0.01", "train.l2=1e-4", "train.batch_size=128",
            "train.chunk_rows=2048", "eval.protocol=ctr"}}};
}

}  // namespace

void bench_company(Context& context, const Split& split, Report& report) {
  constexpr double kSeconds = 0.5;  // of a sample: many turns of the system's scheduler
  for (const Case& each : cases()) {
    std::vector<std::string> words = each.words;
    words.emplace_back("method=none");
    const Config config = load_config("", words);
    const std::unique_ptr<Trainer> trainer = make_trainer(context, config, split, {});
    const auto piece = [&] {
      trainer->train_epoch([&](std::int64_t rows) { return rows % config.train.chunk_rows == 0; });
    };
    piece();  // warms up
    const sllmr::Stopwatch watch;
    piece();
    const int pieces = std::max(1, static_cast<int>(std::ceil(kSeconds / watch.seconds())));
    const Work alone = [&] {
      for (int k = 0; k < pieces; ++k) piece();
    };
    const Work beside = [&] {
      const Hog hog;
      alone();
    };
    const auto times = Stopwatch(context, {7, 0}).compare(alone, beside);
    report.add(fmt::format("company_{}", each.name), times.ratio, 1, "x",
               fmt::format("{} beside a process that keeps a core busy, over alone", each.what));
  }
}

}  // namespace sllmr::bench
