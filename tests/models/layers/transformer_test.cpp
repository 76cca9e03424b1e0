#include "models/layers/transformer/transformer.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/models/layers/layer_check.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

/// Sequences of `each` slots of `of_slot` tokens and one token more.
struct SequenceSize {
  int sequences, each, of_slot, width, heads, blocks;

  int tokens() const { return each * of_slot + 1; }
};

const std::vector<SequenceSize> kSequenceSizes{
    {3, 2, 3, 8, 2, 2}, {1, 1, 1, 2, 1, 1}, {4, 4, 2, 4, 1, 3}, {2, 0, 1, 4, 2, 1}};

/// A transformer and which slots are filled: all but every third.
template <class Real>
struct MaskedTransformer {
  using Saved = typename Transformer<Real>::Saved;

  Tensor<Real> forward(const Context& at, const Tensor<Real>& x, const Pass&, Saved* saved) const {
    return transformer.forward(at, x, {slots.data(), size.each, size.of_slot}, saved);
  }
  Tensor<Real> backward(const Context& at, const Saved& saved, const Tensor<Real>& d_out) const {
    return transformer.backward(at, saved, d_out);
  }

  SequenceSize size;
  Transformer<Real> transformer;
  Buffer<std::int32_t> slots;
};

std::vector<std::int32_t> slots_of(const SequenceSize& size) {
  std::vector<std::int32_t> slots;
  for (int k = 0; k < size.sequences * size.each; ++k) slots.push_back(k % 3 == 2 ? -1 : k);
  return slots;
}

auto make_transformer(const Context& context, const SequenceSize& size) {
  return [&context, size]<class Real>(Parameters<Real>& parameters) {
    const std::vector<std::int32_t> slots = slots_of(size);
    return MaskedTransformer<Real>{
        size,
        {context, parameters, "t", {size.tokens(), size.width, size.heads, size.blocks}, false},
        {context, std::span<const std::int32_t>(slots)}};
  };
}

LayerInput input_of(const SequenceSize& size) {
  return {std::int64_t{size.sequences} * size.tokens(), size.width};
}

TEST(Transformer, GradientsAreThoseOfFiniteDifferences) {
  const Context context(Device::cpu, 1);
  for (const SequenceSize& size : kSequenceSizes) {
    SCOPED_TRACE(testing::Message() << size.sequences << " of " << size.tokens() << " x " << size.width);
    expect_right_gradients(make_transformer(context, size), input_of(size));
  }
}

using Vector = std::vector<double>;

/// The definition, a sequence and a number at a time.
class NaiveTransformer {
 public:
  NaiveTransformer(const Parameters<double>& parameters, const SequenceSize& size)
      : parameters_(parameters), size_(size) {}

  /// x [tokens][width] of a sequence.
  std::vector<Vector> operator()(int sequence, std::vector<Vector> x) const {
    for (int l = 0; l < size_.blocks; ++l) {
      const std::string of = "t." + std::to_string(l);
      const std::vector<Vector> attended = attention(sequence, of, x);
      for (std::size_t t = 0; t < x.size(); ++t) {
        add(x[t], product(of + ".attention_out", attended[t]));
        const Vector both = product(of + ".feed_in", norm(of + ".feed_norm", x[t]));
        Vector gated;
        for (std::size_t k = 0; k < both.size() / 2; ++k) {
          gated.push_back(both[k] / (1 + std::exp(-both[k])) * both[both.size() / 2 + k]);
        }
        add(x[t], product(of + ".feed_out", gated));
      }
    }
    for (Vector& token : x) token = norm("t.norm", token);
    return x;
  }

 private:
  static void add(Vector& to, const Vector& x) {
    for (std::size_t k = 0; k < to.size(); ++k) to[k] += x[k];
  }
  const double* values(const std::string& name) const { return parameters_.value(parameters_.find(name)); }
  Vector product(const std::string& name, const Vector& x) const {
    const auto& part = parameters_.parts()[static_cast<std::size_t>(parameters_.find(name))];
    Vector y(static_cast<std::size_t>(part.shape[0]));
    for (std::size_t o = 0; o < y.size(); ++o) {
      for (std::size_t k = 0; k < x.size(); ++k) y[o] += values(name)[o * x.size() + k] * x[k];
    }
    return y;
  }
  Vector norm(const std::string& name, const Vector& x) const {
    double squares = 0;
    for (const double value : x) squares += value * value;
    Vector y;
    for (std::size_t k = 0; k < x.size(); ++k) {
      y.push_back(values(name)[k] * x[k] / std::sqrt(squares / static_cast<double>(x.size()) + 1e-5));
    }
    return y;
  }
  bool there(int sequence, int token) const {
    const int slot = token / size_.of_slot;
    return slot >= size_.each || slots_of(size_)[static_cast<std::size_t>(sequence * size_.each + slot)] >= 0;
  }
  /// Element d of the head's part of q or k at a token, turned.
  double turned(const Vector& qkv, int first, int d, int token) const {
    const int dims = size_.width / size_.heads, pair = d / 2;
    const double angle = token / std::pow(1e4, 2.0 * pair / dims);
    const auto x = qkv[static_cast<std::size_t>(first + 2 * pair)],
               y = qkv[static_cast<std::size_t>(first + 2 * pair + 1)];
    return d % 2 == 0 ? x * std::cos(angle) - y * std::sin(angle) : x * std::sin(angle) + y * std::cos(angle);
  }
  std::vector<Vector> attention(int sequence, const std::string& of, const std::vector<Vector>& x) const {
    const int tokens = size_.tokens(), width = size_.width, dims = width / size_.heads;
    std::vector<Vector> qkv, out;
    for (const Vector& token : x) qkv.push_back(product(of + ".qkv", norm(of + ".attention_norm", token)));
    for (int i = 0; i < tokens; ++i) {
      Vector mixed(static_cast<std::size_t>(width));
      for (int head = 0; head < size_.heads && there(sequence, i); ++head) {
        Vector weights(static_cast<std::size_t>(i + 1));
        double sum = 0;
        for (int j = 0; j <= i; ++j) {
          if (!there(sequence, j)) continue;
          double score = 0;
          for (int d = 0; d < dims; ++d) {
            score += turned(qkv[static_cast<std::size_t>(i)], head * dims, d, i) *
                     turned(qkv[static_cast<std::size_t>(j)], width + head * dims, d, j);
          }
          sum += weights[static_cast<std::size_t>(j)] = std::exp(score / std::sqrt(dims));
        }
        for (int j = 0; j <= i; ++j) {
          for (int d = head * dims; d < (head + 1) * dims; ++d) {
            mixed[static_cast<std::size_t>(d)] +=
                weights[static_cast<std::size_t>(j)] / sum *
                qkv[static_cast<std::size_t>(j)][static_cast<std::size_t>(2 * width + d)];
          }
        }
      }
      out.push_back(mixed);
    }
    return out;
  }

  const Parameters<double>& parameters_;
  SequenceSize size_;
};

TEST(Transformer, IsItsDefinition) {
  const Context context(Device::cpu, 2);
  for (const SequenceSize& size : kSequenceSizes) {
    SCOPED_TRACE(testing::Message() << size.sequences << " of " << size.tokens() << " x " << size.width);
    const auto make = make_transformer(context, size);
    LayerRun<double, decltype(make)> run(context, make, input_of(size));
    const NaiveTransformer naive(run.parameters(), size);
    const Vector x = values_of(context, run.x());
    Vector expected;
    for (int s = 0; s < size.sequences; ++s) {
      std::vector<Vector> tokens;
      for (int t = 0; t < size.tokens(); ++t) {
        const auto first = x.begin() + (s * size.tokens() + t) * size.width;
        tokens.emplace_back(first, first + size.width);
      }
      for (const Vector& token : naive(s, tokens))
        expected.insert(expected.end(), token.begin(), token.end());
    }
    EXPECT_TRUE(all_near(values_of(context, run.forward()), expected, {1e-11, 1e-11}));
  }
}

/// What comes later changes nothing of what came before, nor does a token that is not there.
TEST(Transformer, ATokenSeesNothingBehindIt) {
  const Context context(Device::cpu, 1);
  const SequenceSize size{1, 4, 3, 8, 2, 2};
  const auto make = make_transformer(context, size);
  LayerRun<float, decltype(make)> run(context, make, input_of(size));
  const auto outputs = [&](int changed) {
    std::vector<float> x = values_of(context, run.x());
    for (int d = 0; d < size.width; ++d) x[static_cast<std::size_t>(changed * size.width + d)] += 1;
    return run.layer()
        .forward(context, Tensor<float>::from(context, size.tokens(), size.width, x), {}, nullptr)
        .to_host(context);
  };
  const std::vector<float> last = outputs(12), other = outputs(11);
  EXPECT_TRUE(std::equal(last.begin(), last.begin() + 11 * size.width, other.begin()));
  EXPECT_FALSE(std::equal(last.begin() + 12 * size.width, last.end(), other.begin() + 12 * size.width));
  // Slot 2, tokens 6 to 8, is empty.
  const std::vector<float> absent = outputs(7), same = outputs(6);
  EXPECT_TRUE(std::equal(absent.begin() + 9 * size.width, absent.end(), same.begin() + 9 * size.width));
}

TEST(Transformer, RotationsKeepNormsAndDependOnDistanceAlone) {
  const Context context(Device::cpu, 1);
  constexpr int kTokens = 6, kDims = 4;
  Vector turns;
  for (int t = 0; t < kTokens; ++t) {
    for (int p = 0; p < kDims / 2; ++p) {
      const double angle = t / std::pow(1e4, 2.0 * p / kDims);
      turns.insert(turns.end(), {std::cos(angle), std::sin(angle)});
    }
  }
  // The same q, k and v at every token.
  const Vector one = random_numbers<double>(5, 3 * kDims);
  Vector rows;
  for (int t = 0; t < kTokens; ++t) rows.insert(rows.end(), one.begin(), one.end());
  const auto qkv = Tensor<double>::from(context, kTokens, 3 * kDims, rows),
             of_turns = Tensor<double>::from(context, kTokens, kDims, turns);
  const Tensor<double> weights(context, 1, kTokens * kTokens), out(context, kTokens, kDims);
  run(context, CausalAttention<double>{.shape = {kTokens, 1, kDims},
                                       .present = {},
                                       .turns = of_turns,
                                       .qkv = qkv,
                                       .weights = weights,
                                       .out = out});
  const Vector turned = qkv.to_host(context), a = weights.to_host(context);
  for (int t = 0; t < kTokens; ++t) {
    double before = 0, after = 0;
    for (int d = 0; d < kDims; ++d) {
      before += one[static_cast<std::size_t>(d)] * one[static_cast<std::size_t>(d)];
      after += std::pow(turned[static_cast<std::size_t>(t * 3 * kDims + d)], 2);
    }
    EXPECT_NEAR(after, before, 1e-13);
  }
  // Shares of two tokens with the same distance have the same ratio to that of a token with itself.
  const auto share = [&](int i, int j) { return a[static_cast<std::size_t>(i * kTokens + j)]; };
  EXPECT_NEAR(share(3, 1) / share(3, 3), share(5, 3) / share(5, 5), 1e-12);
}

TEST(Transformer, FloatIsRightAndThreadsDoNotMatter) {
  const Context context(Device::cpu, 2);
  const SequenceSize size{128, 4, 3, 32, 2, 2};
  expect_float_is_right(context, make_transformer(context, size), input_of(size));
  expect_threads_do_not_matter(make_transformer(context, size), input_of(size));
}

TEST(Transformer, KeepsNaN) {
  const Context context(Device::cpu, 1);
  const SequenceSize size{1, 1, 1, 4, 2, 1};
  const auto make = make_transformer(context, size);
  LayerRun<double, decltype(make)> run(context, make, input_of(size));
  run.x().data()[0] = std::nan("");
  for (const double value : values_of(context, run.forward())) EXPECT_TRUE(std::isnan(value));
}

TEST(Transformer, HasAsManyParametersAsLlmCf) {
  const Context context(Device::cpu, 1);
  Parameters<float> parameters;
  const Transformer<float> transformer(context, parameters, "t", {}, false);
  std::int64_t sum = 0;
  for (const auto& part : parameters.parts()) sum += part.size;
  EXPECT_EQ(sum, 20'640);
}

TEST(Transformer, RefusesHeadsThatDoNotFit) {
  const Context context(Device::cpu, 1);
  Parameters<float> parameters;
  const TransformerOptions options{.tokens = 3, .width = 6, .heads = 2, .blocks = 1};
  EXPECT_THAT(error_of([&] { Transformer<float>(context, parameters, "t", options, false); }),
              HasSubstr("share out 6 numbers evenly"));
}

}  // namespace
}  // namespace sllmr
