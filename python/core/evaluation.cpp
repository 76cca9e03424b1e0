#include <fmt/format.h>

#include <algorithm>
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
  PythonModel(nb::object score, const Dataset& data) : score_(std::move(score)), data_(data) {}

  Id item_rows() const override { return data_.items.rows(); }
  std::int64_t scratch_floats(std::int64_t /*users*/) const override { return 0; }
  void score_tile(const Context& /*context*/, const Id* users, std::int64_t n, float* /*scratch*/,
                  float* logits) const override {
    const nb::gil_scoped_acquire mine;
    const Scores scores = ask(users, n);
    const auto items = static_cast<std::size_t>(data_.items.count());
    for (std::int64_t k = 0; k < n; ++k) {
      float* const row = logits + k * item_rows();
      row[0] = 0;  // padding
      const float* const given = scores.data() + static_cast<std::size_t>(k) * items;
      for (std::size_t item = 0; item < items; ++item) row[item + 1] = number(users[k], item, given[item]);
    }
  }
  void score_pairs(const Context& /*context*/, const Id* users, const Id* items, std::int64_t n,
                   float* logits) const override {
    constexpr std::int64_t kTile = 256;
    const nb::gil_scoped_acquire mine;
    for (std::int64_t first = 0; first < n; first += kTile) {
      const std::int64_t last = std::min(first + kTile, n);
      const Scores scores = ask(users + first, last - first);
      for (std::int64_t k = first; k < last; ++k) {
        const auto item = static_cast<std::size_t>(items[k] - 1);
        logits[k] = number(users[k], item, scores(static_cast<std::size_t>(k - first), item));
      }
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
    throw_if_interrupted();
    score_pairs(Context(Device::cpu, 1), users.data(), items.data(), std::ssize(rows), logits.data());
    return logits;
  }

 private:
  float number(Id user, std::size_t item, float logit) const {
    if (logit == logit) return logit;
    throw Error(fmt::format("the model's score of user '{}' and item '{}' is NaN", data_.users.token(user),
                            data_.items.token(static_cast<Id>(item) + 1)));
  }
  /// logits [n x items]. Throws what Python does, and Error for another shape.
  Scores ask(const Id* users, std::int64_t n) const {
    std::vector<std::int64_t> rows(users, users + n);
    for (std::int64_t& row : rows) --row;
    const nb::object answer = score_(nb::cast(given(std::move(rows))));
    Scores scores;
    if (!nb::try_cast(answer, scores)) {
      throw Error("the model's scores are not a float32 array [users, items] in the memory of the CPU");
    }
    const auto items = static_cast<std::size_t>(data_.items.count());
    if (scores.shape(0) != static_cast<std::size_t>(n) || scores.shape(1) != items) {
      throw Error(fmt::format(
          "the model's scores of {} users are [{}, {}]: expected [{}, {}], a column for each item of "
          "the data",
          n, scores.shape(0), scores.shape(1), n, items));
    }
    return scores;
  }

  nb::object score_;
  const Dataset& data_;
};

/// JSON as in summary.json's "test", and the lines of a file of predictions.
nb::tuple evaluate_scores(const nb::object& score, const Data& data, const std::vector<std::string>& words,
                          bool validation, const nb::object& listener, bool takes_progress) {
  PythonModel model(score, data.set());
  nlohmann::json figures;
  std::ostringstream rows;
  run_work(listener, takes_progress, [&] {
    const Config config = load_config("", words);
    const Protocol& protocol = find_protocol(config);
    const Target target = validation ? Target::validation : Target::test;
    protocol.check(config, data.world.split, target);
    rows << protocol.header << '\n';
    // One thread asks Python at a time anyway.
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
