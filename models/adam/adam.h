// Adam for a backbone: its dense parameters and its embedding tables.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/exec/not_copied.h"
#include "models/adam/kernels.h"
#include "models/backbone.h"
#include "models/named_buffer.h"

namespace sllmr {

struct AdamOptions {
  double learning_rate = 1e-3;
  /// Coupled: l2 * weight is added to the gradient of every parameter.
  double l2 = 0;
  /// Rows without a gradient stay as they are, without L2 as well, and each row counts its own steps; for
  /// rare rows that is another model than dense Adam, in which a row without a gradient goes on decaying.
  bool lazy = false;
  std::optional<double> embedding_l2 = {};  // of the tables; none: l2
};

/// torch.optim.Adam (beta .9 and .999, eps 1e-8) in every bit of its formula as
/// models/adam/kernels.h states it. Dense Adam counts every row of every table in every step, yet writes only
/// some of them: the others are behind, by at most kAdamSweep steps, until begin() or flush() brings them up
/// to date. A training step is
///
///   adam.begin(context, batch);  forward;  backward;  adam.step(context, batch);
///
/// and whoever reads other rows than those of the batch (evaluation, a checkpoint that is evaluated) calls
/// flush() first. When rows are brought up to date changes no bit of what comes later.
template <class Real>
class Adam : NotCopied {
 public:
  /// Keeps a reference to the backbone. Throws Error for a rate that is not above 0 and an L2 below 0.
  Adam(const Context& context, Backbone<Real>& backbone, const AdamOptions& options)
      : Adam(context, backbone.parameters(), backbone.embeddings(), options) {}
  /// The same for parameters that are no backbone's.
  Adam(const Context& context, Parameters<Real>& parameters, std::vector<Embedding<Real>*> embeddings,
       const AdamOptions& options);

  /// Brings the rows that the batch looks up to date. The batch needs its plans. Of tables that are not whole
  /// somebody else knows what is read: see bring_up().
  void begin(const Context& context, const FeatureBatch& batch);
  /// Brings rows `keys` [n], on the device and each once, of the vocabulary's tables up to date; where a
  /// table is not whole keys are the places of its own rows (RowShard).
  void bring_up(const Context& context, Vocabulary vocabulary, std::int64_t n, const Id* keys);
  /// One step with the gradients of backward, on the batch that begin() was called with last; throws Error
  /// without that. The embeddings' gradients are cleared.
  void step(const Context& context, const FeatureBatch& batch);
  /// Gradients of some rows of a table, on the device.
  struct RowSums {
    std::int64_t n = 0;
    const Id* keys = nullptr;         // [n], each once, as those of bring_up()
    const Real* gradients = nullptr;  // [n x width]
  };
  /// The same step with gradients that somebody else has summed up: those of the dense parameters lie where
  /// backward leaves them, and of each table of all embeddings, in their order, those of `rows`; as if the
  /// batch had these rows. begin() was called with whatever was read, in as many batches as it took.
  void step_rows(const Context& context, std::span<const RowSums> rows);
  /// Brings all rows up to date.
  void flush(const Context& context);

  /// Of the steps to come. Brings all rows up to date first, with the rate that their steps had.
  void set_learning_rate(const Context& context, double rate);

  /// Steps taken so far.
  std::int32_t steps() const { return steps_; }
  /// For a run that continues with the buffers of named_buffers(), which hold that run's numbers by now.
  /// Throws Error where a row's last step can't be one of so many.
  void set_steps(const Context& context, std::int32_t steps);

  /// "adam.first", "adam.second" of the dense parameters, and of each table "adam.NAME.first",
  /// "adam.NAME.second" and "adam.NAME.steps".
  std::vector<NamedBuffer> named_buffers();

 private:
  struct TableState {
    Buffer<Real> first, second;  // [rows x width]
    Buffer<std::int32_t> steps;  // [rows]
  };

  void make_factors(const Context& context);
  /// What all launches share; no table has keys or swept rows yet.
  AdamArgs<Real> args(std::int32_t step);
  /// The same with the batch's keys.
  AdamArgs<Real> args(std::int32_t step, const FeatureBatch& batch);
  /// Ends a step.
  void clear_gradients();

  /// Of rows each with one occurrence, number k in bag k: offsets, bags and lengths, and as fields the
  /// vocabularies' numbers [kVocabularies x rows].
  struct SingleOccurrences {
    Buffer<std::int64_t> offsets;
    Buffer<std::int8_t> field;
    Buffer<std::int32_t> row, length;
    std::int64_t rows = 0;
  };
  void make_singles(const Context& context, std::int64_t rows);

  Parameters<Real>& parameters_;
  std::vector<Embedding<Real>*> embeddings_;
  AdamOptions options_;
  Buffer<AdamFactors<Real>> factors_;
  Buffer<Real> first_, second_;     // of the slab
  std::vector<TableState> tables_;  // of all embeddings, in their order
  SingleOccurrences singles_;
  std::int32_t steps_ = 0;
  bool begun_ = false;
};

/// The backbone's own: "parameters", "state" (where it has any) and the tables under their names.
template <class Real>
std::vector<NamedBuffer> named_buffers(Backbone<Real>& backbone);

extern template class Adam<float>;
extern template class Adam<double>;
extern template std::vector<NamedBuffer> named_buffers(Backbone<float>& backbone);
extern template std::vector<NamedBuffer> named_buffers(Backbone<double>& backbone);

}  // namespace sllmr
