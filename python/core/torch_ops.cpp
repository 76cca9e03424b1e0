// What sllmr.torch calls: the gated penalty of pairs in memory that PyTorch owns. Tensors come as addresses,
// so that nothing here needs PyTorch's headers or libraries.
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "core/bindings.h"
#include "core/text.h"
#include "kernels/exec/context.h"
#include "kernels/gates/module/trial.h"
#include "kernels/gates/parts.h"
#include "kernels/selective_pairs.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace sllmr::python {
namespace {

nb::dict described(const GatePart& part) {
  nb::dict out;
  out["name"] = shown(part.name);
  out["summary"] = shown(part.summary);
  return out;
}

/// `reads`: the signals that alpha depends on.
nb::list rules() {
  const std::vector<GateTrial> trials = try_parts(GateRules{});
  nb::list out;
  for (const GatePart& part : gate_rules()) {
    nb::dict rule = described(part);
    rule["n_params"] = part.n_params;
    rule["reads"] = nb::cast(trials[static_cast<std::size_t>(part.id)].reads);
    out.append(rule);
  }
  return out;
}

nb::list objectives() {
  nb::list out;
  for (const GatePart& part : gate_objectives()) {
    nb::dict objective = described(part);
    objective["uses_probes"] = part.uses_probes;
    objective["uses_cosine"] = part.uses_cosine;
    objective["uses_means"] = part.uses_means;
    objective["rule"] = shown(part.rule);
    objective["penalty"] = shown(part.penalty);
    objective["least_side"] = part.least_side;
    out.append(objective);
  }
  return out;
}

nb::list penalties() {
  nb::list out;
  for (const GatePart& part : gate_penalties()) out.append(described(part));
  return out;
}

/// (name, whether it is the user's, so that both sides of a pair share it).
nb::list signals() {
  nb::list out;
  GateSignals z{};
  const float* end_of_user = reinterpret_cast<const float*>(static_cast<const UserSignals*>(&z) + 1);
  for (const NamedSignal& signal : kGateSignals) {
    out.append(nb::make_tuple(signal.name,
                              &(z.*signal.member) < end_of_user || signal.member == &GateSignals::score_gap));
  }
  return out;
}

nb::list uncertainties() {
  nb::list out;
  for (const UncertaintyInfo& kind : kUncertainties) {
    out.append(nb::make_tuple(shown(kind.name), kind.needs_passes));
  }
  return out;
}

/// A tensor's address; 0: none.
using Address = std::uintptr_t;
using Inputs = std::array<Address, 10>;
using Outputs = std::array<Address, 3>;
using Columns = std::vector<std::array<std::int64_t, 4>>;
template <class T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

template <class Parts>
int id_of(const Parts& parts, const char* what, const std::string& name) {
  std::string known;
  for (const auto& part : parts) {
    if (part.name == name) return static_cast<int>(&part - &*std::begin(parts));
    known += (known.empty() ? "" : ", ") + std::string(part.name);
  }
  throw Error("there is no " + std::string(what) + " '" + name + "': take one of " + known);
}

/// A registered gate with its settings.
class PairGate {
 public:
  PairGate(const std::string& rule, const std::string& objective, const std::string& penalty,
           const std::string& uncertainty, bool least_side, float lambda, float margin, float price,
           float budget_weight, float budget_target) {
    gate_.rule = id_of(gate_rules(), "gating rule", rule);
    gate_.objective = id_of(gate_objectives(), "gate objective", objective);
    gate_.penalty = id_of(gate_penalties(), "penalty", penalty);
    gate_.uncertainty = static_cast<Uncertainty>(id_of(kUncertainties, "uncertainty", uncertainty));
    gate_.uses_probes = gate_objectives()[static_cast<std::size_t>(gate_.objective)].uses_probes;
    gate_.least_side = least_side;
    for (const auto& [name, number] :
         {std::pair("lambda_", lambda), std::pair("margin", margin), std::pair("price", price),
          std::pair("budget_weight", budget_weight), std::pair("budget_target", budget_target)}) {
      require(std::isfinite(number) && number >= 0.0F,
              std::string(name) + " is " + std::to_string(number) + ": it is 0 or more");
    }
    gate_.lambda = lambda;
    gate_.margin = margin;
    gate_.price = price;
    gate_.budget_weight = budget_weight;
    gate_.budget_target = budget_target;
  }

  /// `inputs`: logits_a, logits_b, seen_a, seen_b, theta, scores_a, scores_b, running, probe, cosine.
  /// `columns`: (side, signal's place in kGateSignals, address, stride). `outputs`: penalty [n], objective
  /// [n], and parts, rows of n: alpha, weight, penalty_by_a, penalty_by_b and, with `slopes`,
  /// objective_by_theta.
  template <class Real>
  void run_on(const GuestOf& device, std::int64_t n, const Inputs& inputs, const Columns& columns,
              bool slopes, double scale, const Outputs& outputs) const {
    SelectivePairs<Real> args;
    args.gate = gate_;
    args.n = n;
    args.logits_a = at<const Real>(inputs[0]);
    args.logits_b = at<const Real>(inputs[1]);
    args.seen_a = at<const Real>(inputs[2]);
    args.seen_b = at<const Real>(inputs[3]);
    args.theta = at<const Real>(inputs[4]);
    args.scores_a = at<const float>(inputs[5]);
    args.scores_b = at<const float>(inputs[6]);
    args.gate.running = at<const float>(inputs[7]);
    args.probe = at<const bool>(inputs[8]);
    args.cosine.data = at<const float>(inputs[9]);
    for (const auto& [side, signal, address, stride] : columns) {
      args.signals[side][signal] = {at<const float>(static_cast<Address>(address)), stride};
    }
    args.penalty = at<Real>(outputs[0]);
    args.objective = at<Real>(outputs[1]);
    Real* const parts = at<Real>(outputs[2]);
    args.alpha = parts;
    args.weight = parts + n;
    args.penalty_by_a = parts + 2 * n;
    args.penalty_by_b = parts + 3 * n;
    args.objective_by_theta = slopes ? parts + 4 * n : nullptr;
    args.scale = static_cast<Real>(scale);
    sllmr::run(Context(device), args);
  }

  void run(bool is_double, bool cuda, Address stream, int threads, std::int64_t n, const Inputs& inputs,
           const Columns& columns, bool slopes, double scale, const Outputs& outputs) const {
    const GuestOf device{cuda ? Device::cuda : Device::cpu, at<void>(stream), threads};
    if (is_double) {
      run_on<double>(device, n, inputs, columns, slopes, scale, outputs);
    } else {
      run_on<float>(device, n, inputs, columns, slopes, scale, outputs);
    }
  }

 private:
  GateArgs gate_;
};

}  // namespace

void bind_selective_pairs(nb::module_& module) {
  nb::class_<PairGate>(module, "PairGate", "A gate of registered parts; see sllmr.torch.Gate.")
      .def(nb::init<const std::string&, const std::string&, const std::string&, const std::string&, bool,
                    float, float, float, float, float>(),
           "rule"_a, "objective"_a, "penalty"_a, "uncertainty"_a, "least_side"_a, "lambda_"_a, "margin"_a,
           "price"_a, "budget_weight"_a, "budget_target"_a)
      .def("run", &PairGate::run, nb::call_guard<nb::gil_scoped_release>());
  module.def("gate_rules", &rules, "Every registered rule, and what it reads.");
  module.def("gate_objectives", &objectives, "Every registered gate objective.");
  module.def("gate_penalties", &penalties, "Every registered penalty.");
  module.def("gate_signals", &signals,
             "(name, whether both sides of a pair share it) of every signal of a gate.");
  module.def("gate_uncertainties", &uncertainties, "(name, whether it needs forward passes of its own).");
  module.def(
      "initial_gate_params",
      [](const std::string& rule, std::uint64_t seed) {
        return initial_gate_params(id_of(gate_rules(), "gating rule", rule), seed);
      },
      "rule"_a, "seed"_a, "Starting values of a rule's parameters.");
}

}  // namespace sllmr::python
