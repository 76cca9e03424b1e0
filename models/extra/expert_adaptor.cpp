#include "models/extra/expert_adaptor.h"

#include <string>
#include <utility>

namespace sllmr {

namespace {

template <class Real>
Experts<Real> experts_of(const std::vector<Tensor<Real>>& given) {
  Experts<Real> experts;
  for (const Tensor<Real>& each : given) experts.of[experts.n++] = each;
  return experts;
}

}  // namespace

void require_experts(const ExpertAdaptorOptions& options) {
  const int experts = options.shared + options.own;
  require(options.shared >= 0 && options.own >= 0 && experts >= 1 && experts <= Experts<float>::kMax,
          "a tower of the adaptor has " + std::to_string(experts) +
              " experts, shared ones included; it takes 1 to " + std::to_string(Experts<float>::kMax));
}

template <class Real>
ExpertAdaptor<Real>::ExpertAdaptor(const Context& context, Parameters<Real>& parameters, int width,
                                   const ExtraSeat& seat, const ExpertAdaptorOptions& options)
    : vectors_(context, options.vectors),
      tower_width_(seat.place == ExtraPlace::field ? width / kTowers : width),
      own_(options.own) {
  require_experts(options);
  require(seat.place == ExtraPlace::joined || width % kTowers == 0,
          "the adaptor's two halves make one field: the width of the fields must be even, not " +
              std::to_string(width));
  if (options.users.least != nullptr) {
    users_.emplace(context, options.users);
    require(users_->width() == vectors_.width(),
            "the adaptor's users have vectors of " + std::to_string(users_->width()) +
                " numbers, its items of " + std::to_string(vectors_.width()));
  }
  MlpOptions expert{
      .hidden = options.hidden, .dropout = options.dropout, .dropout_at = MlpOptions::DropoutAt::output};
  expert.hidden.push_back(tower_width_);
  const std::int64_t in = vectors_.width();
  const auto add = [&](std::vector<Mlp<Real>>& to, const std::string& name, int n) {
    for (int j = 0; j < n; ++j) to.emplace_back(parameters, name + "." + std::to_string(j), in, expert);
  };
  add(shared_, "kar.shared", options.shared);
  const char* names[kTowers] = {"kar.user", "kar.item"};
  for (int k = 0; k < kTowers; ++k) {
    add(tower_[k].experts, names[k], own_);
    tower_[k].gate = std::make_unique<Linear<Real>>(parameters, std::string(names[k]) + "_gate", in,
                                                    experts(), LinearInitial::standard);
  }
}

template <class Real>
void ExpertAdaptor<Real>::of_users(const Context& context, const FeatureBatch& batch,
                                   const Tensor<Real>& x) const {
  vectors_.of_histories(context, batch, x);
  if (users_) users_->replace(context, batch, x);
}

template <class Real>
std::vector<Tensor<Real>> ExpertAdaptor<Real>::of_shared(const Context& context, const Tensor<Real>& x,
                                                         const Pass& pass, Saved* saved) const {
  if (saved != nullptr) saved->shared.resize(shared_.size());
  std::vector<Tensor<Real>> given;
  for (std::size_t j = 0; j < shared_.size(); ++j) {
    given.push_back(shared_[j].forward(context, x, pass, saved != nullptr ? &saved->shared[j] : nullptr));
  }
  return given;
}

template <class Real>
void ExpertAdaptor<Real>::mix(const Context& context, int tower, const Tensor<Real>& x,
                              std::vector<Tensor<Real>> given, const Pass& pass, const Tensor<Real>& out,
                              SavedTower* saved) const {
  const Tower& of = tower_[tower];
  if (saved != nullptr) saved->own.resize(of.experts.size());
  for (std::size_t j = 0; j < of.experts.size(); ++j) {
    given.push_back(of.experts[j].forward(context, x, pass, saved != nullptr ? &saved->own[j] : nullptr));
  }
  const Tensor<Real> gate(context, x.rows(), experts());
  of.gate->forward_to(context, x, gate);
  run(context, MixOfExperts<Real>{.experts = experts_of(given), .gate = gate, .out = out});
  if (saved == nullptr) return;
  saved->given = std::move(given);
  saved->gate = gate;
}

template <class Real>
void ExpertAdaptor<Real>::forward(const Context& context, const FeatureBatch& batch, const Pass& pass,
                                  const Tensor<Real>&, const Tensor<Real>& out,
                                  std::unique_ptr<BaseSaved>* saved) const {
  auto kept = saved != nullptr ? std::make_unique<Saved>() : nullptr;
  const std::int64_t rows = batch.rows;
  const Tensor<Real> x(context, kTowers * rows, vectors_.width());
  of_users(context, batch, x.row_range(0, rows));
  vectors_.of_items(context, batch, x.row_range(rows, rows));
  const std::vector<Tensor<Real>> shared = of_shared(context, x, pass, kept.get());
  for (int k = 0; k < kTowers; ++k) {
    std::vector<Tensor<Real>> given;
    for (const Tensor<Real>& each : shared) given.push_back(each.row_range(k * rows, rows));
    mix(context, k, x.row_range(k * rows, rows), std::move(given), pass,
        out.columns(std::int64_t{k} * tower_width_, tower_width_),
        kept != nullptr ? &kept->tower[k] : nullptr);
  }
  if (saved == nullptr) return;
  kept->x = x;
  *saved = std::move(kept);
}

template <class Real>
void ExpertAdaptor<Real>::backward(const Context& context, const BaseSaved& saved, const Tensor<Real>& d_out,
                                   const Tensor<Real>&) const {
  const auto& kept = static_cast<const Saved&>(saved);
  const std::int64_t rows = d_out.rows();
  std::vector<Tensor<Real>> d_shared;
  for (std::size_t j = 0; j < shared_.size(); ++j) {
    d_shared.emplace_back(context, kTowers * rows, std::int64_t{tower_width_});
  }
  for (int k = 0; k < kTowers; ++k) {
    std::vector<Tensor<Real>> d_given;
    for (const Tensor<Real>& each : d_shared) d_given.push_back(each.row_range(k * rows, rows));
    for (int j = 0; j < own_; ++j) d_given.emplace_back(context, rows, std::int64_t{tower_width_});
    const Tensor<Real> d_gate(context, rows, experts());
    const SavedTower& of = kept.tower[k];
    run(context,
        MixOfExpertsBackward<Real>{.experts = experts_of(of.given),
                                   .gate = of.gate,
                                   .d_out = d_out.columns(std::int64_t{k} * tower_width_, tower_width_),
                                   .d_experts = experts_of(d_given),
                                   .d_gate = d_gate});
    tower_[k].gate->backward_of_frozen(context, kept.x.row_range(k * rows, rows), d_gate);
    for (std::size_t j = 0; j < of.own.size(); ++j) {
      tower_[k].experts[j].backward_of_frozen(context, of.own[j], d_given[shared_.size() + j]);
    }
  }
  for (std::size_t j = 0; j < shared_.size(); ++j) {
    shared_[j].backward_of_frozen(context, kept.shared[j], d_shared[j]);
  }
}

template <class Real>
void ExpertAdaptor<Real>::of_side(const Context& context, const FeatureBatch& batch, Side side,
                                  const Tensor<Real>& out) const {
  const bool item = side == Side::item;
  const Tensor<Real> x(context, batch.rows, vectors_.width());
  if (item) {
    vectors_.of_items(context, batch, x);
  } else {
    of_users(context, batch, x);
  }
  const int tower = item ? 1 : 0;
  mix(context, tower, x, of_shared(context, x, Pass{}, nullptr), Pass{},
      out.columns(std::int64_t{tower} * tower_width_, tower_width_), nullptr);
}

template class ExpertAdaptor<float>;
template class ExpertAdaptor<double>;

std::shared_ptr<const ExtraVectorMaker> expert_adaptor(const ExpertAdaptorOptions& options) {
  require_experts(options);
  return std::make_shared<ExtraVectorMakerOf<ExpertAdaptor, ExpertAdaptorOptions>>(options);
}

}  // namespace sllmr
