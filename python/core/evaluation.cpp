#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "core/bindings.h"
#include "core/data.h"
#include "core/text.h"
#include "core/work.h"
#include "host/base/json_text.h"
#include "host/eval/protocol.h"
#include "host/runs/provenance.h"
#include "kernels/exec/interrupt.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace sllmr::python {
namespace {

using Scores = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

/// A model whose logits Python gives: of a list of users against every item.
class PythonModel : public Scorer, public EvaluatedModel {
 public:
  PythonModel(const nb::object& score, const Dataset& data, Caller& caller)
      : score_(score), data_(data), caller_(caller) {}

  Id item_rows() const override { return data_.items.rows(); }
  std::int64_t scratch_floats(std::int64_t /*users*/) const override { return 0; }
  void score_tile(const Context& /*context*/, const Id* users, std::int64_t n, float* /*scratch*/,
                  float* logits) const override {
    ask(std::span(users, static_cast<std::size_t>(n)), [&](const Scores& scores) {
      for (std::int64_t k = 0; k < n; ++k) {
        float* const row = logits + k * item_rows();
        row[0] = 0;  // padding
        for (Id item = 1; item < item_rows(); ++item) row[item] = number(scores, k, users[k], item);
      }
    });
  }
  /// Asks for a user whose pairs follow each other once.
  void score_pairs(const Context& /*context*/, const Id* users, const Id* items, std::int64_t n,
                   float* logits) const override {
    constexpr std::size_t kMostUsers = 256;
    for (std::int64_t first = 0; first < n;) {
      std::vector<Id> distinct;
      std::int64_t last = first;
      for (; last < n; ++last) {
        if (!distinct.empty() && distinct.back() == users[last]) continue;
        if (distinct.size() == kMostUsers) break;
        distinct.push_back(users[last]);
      }
      ask(distinct, [&](const Scores& scores) {
        std::int64_t row = 0;
        for (std::int64_t k = first; k < last; ++k) {
          if (users[k] != distinct[static_cast<std::size_t>(row)]) ++row;
          logits[k] = number(scores, row, users[k], items[k]);
        }
      });
      first = last;
    }
  }

  const Scorer& scorer(Target /*target*/) override { return *this; }
  std::vector<float> ctr_logits(std::span<const CtrRow> rows) override {
    std::vector<Id> users, items;
    for (const CtrRow& row : rows) {
      users.push_back(row.user);
      items.push_back(row.item);
    }
    std::vector<float> logits(rows.size());
    score_pairs(Context(Device::cpu, 1), users.data(), items.data(), std::ssize(rows), logits.data());
    return logits;
  }

 private:
  /// Hands the logits [users x items] on to `take`. Throws Error for another shape, Interrupted after what
  /// Python threw.
  void ask(std::span<const Id> users, const std::function<void(const Scores&)>& take) const {
    caller_.call([&] {
      std::vector<std::int64_t> rows(users.begin(), users.end());
      for (std::int64_t& row : rows) --row;
      const nb::object answer = score_(nb::cast(given(std::move(rows))));
      Scores scores;
      if (!nb::try_cast(answer, scores)) {
        throw Error("the model's scores are not a float32 array [users, items] in the memory of the CPU");
      }
      const auto items = static_cast<std::size_t>(data_.items.count());
      if (scores.shape(0) != users.size() || scores.shape(1) != items) {
        throw Error(
            fmt::format("the model's scores of {} users are [{}, {}]: expected [{}, {}], a column for each "
                        "item of the data",
                        users.size(), scores.shape(0), scores.shape(1), users.size(), items));
      }
      take(scores);
    });
  }
  float number(const Scores& scores, std::int64_t row, Id user, Id item) const {
    const float logit = scores(static_cast<std::size_t>(row), static_cast<std::size_t>(item - 1));
    if (std::isfinite(logit)) return logit;
    throw Error(fmt::format(
        "the model's score of user '{}' and item '{}' is {} as a float32: scores must be finite; to put an "
        "item last, -1e30 will do",
        data_.users.token(user), data_.items.token(item), logit));
  }

  const nb::object& score_;
  const Dataset& data_;
  Caller& caller_;
};

/// JSON as in summary.json's "test", and the lines of a file of predictions.
nb::tuple evaluate_scores(const nb::object& score, const Data& data, const std::vector<std::string>& words,
                          bool validation, const nb::object& listener, bool takes_progress) {
  nlohmann::json figures;
  std::ostringstream rows;
  run_work(listener, takes_progress, [&](Caller& caller) {
    PythonModel model(score, data.set(), caller);
    const Config config = load_config("", words);
    const Protocol& protocol = find_protocol(config);
    const Target target = validation ? Target::validation : Target::test;
    protocol.check(config, data.world.split, target);
    rows << protocol.header << '\n';
    // One thread: Python is asked by its own alone.
    const Context context(Device::cpu, 1);
    figures = protocol.evaluate({context, config, model, data.world.split, target}, &rows);
  });
  const std::string lines = rows.str();
  return nb::make_tuple(shown(json_text(figures)), nb::bytes(lines.data(), lines.size()));
}

}  // namespace

void bind_evaluation(nb::module_& module) {
  module.def("evaluate", &evaluate_scores, "score"_a, "data"_a, "words"_a, "validation"_a, "listener"_a,
             "takes_progress"_a, "Evaluates score(users) -> float32 [users, items] under a protocol.");
}

}  // namespace sllmr::python
