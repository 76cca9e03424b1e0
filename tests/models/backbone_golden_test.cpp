// Ten training steps of every backbone against PyTorch's autograd and Adam in float64.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "models/adam/adam.h"
#include "models/extra/expert_adaptor.h"
#include "models/extra/in_context.h"
#include "models/extra/text_map.h"
#include "models/registry.h"
#include "tests/support/compare.h"
#include "tests/support/features.h"

namespace sllmr {
namespace {

using nlohmann::json;
/// Values by the name of their parameter or table.
using Values = std::map<std::string, std::vector<double>>;

constexpr double kLimit = 1e-4;

/// Of tools/golden/make_backbone_golden.py; null where there is none.
json read_fixture(const std::string& name) {
  std::ifstream in(SLLMR_SOURCE_DIR "/tests/models/golden/" + name + ".json");
  return in ? json::parse(in) : json();
}

ItemVectors vectors_of(const json& rows) {
  std::vector<float> values;
  for (const json& row : rows) values.insert(values.end(), row.begin(), row.end());
  return {std::ssize(rows[0]), std::make_shared<const std::vector<float>>(std::move(values))};
}

/// The extra vector of a fixture; null where it has none.
std::shared_ptr<const ExtraVectorMaker> extra_of(const json& fixture) {
  const json extra = fixture.value("extra", json());
  if (extra.is_null()) return nullptr;
  const ItemVectors vectors = vectors_of(extra["vectors"]);
  if (extra["kind"] == "text") return text_map(vectors);
  if (extra.contains("pool")) {
    return in_context({.vectors = vectors,
                       .examples = static_cast<int>(fixture["batches"][0]["examples"][0].size()),
                       .labels = extra["pool"]["label"],
                       .chains = extra.contains("chains") ? vectors_of(extra["chains"]) : ItemVectors(),
                       .text_hidden = extra["text_hidden"],
                       .joint_hidden = extra["joint_hidden"],
                       .reconstruction_hidden = extra["reconstruction_hidden"]});
  }
  return expert_adaptor({.vectors = vectors,
                         .hidden = extra["expert_hidden"],
                         .shared = extra["shared_experts"],
                         .own = extra["own_experts"],
                         .dropout = 0});
}

BackboneOptions options_of(const json& fixture) {
  constexpr const char* kNames[kVocabularies] = {"user", "item", "brand", "category"};
  const json& sizes = fixture["sizes"];
  BackboneOptions options;
  options.width = sizes["width"];
  options.hidden = sizes["hidden"].get<std::vector<int>>();
  options.cin_sizes = sizes["cin_sizes"].get<std::vector<int>>();
  options.attention_width = sizes["attention_width"];
  options.attention_heads = sizes["attention_heads"];
  options.cross = sizes["cross"] == "full" ? CrossKind::full : CrossKind::mixture;
  options.din_attention_hidden = sizes["din_attention_hidden"].get<std::array<int, 2>>();
  options.dropout = 0;
  options.extra = extra_of(fixture);
  for (std::size_t k = 0; k < kVocabularies; ++k) options.table_rows[k] = fixture["table_rows"][kNames[k]];
  for (const json& pair : fixture.value("interactions", json::array())) {
    options.interactions.push_back({pair[0], pair[1]});
  }
  return options;
}

/// A batch of the fixture; brand and categories are the items'.
HostFeatures features_of_rows(const json& items, const json& batch, bool sequence) {
  using Bag = std::vector<Id>;
  const auto brand = [&](Id item) -> Id { return items[static_cast<std::size_t>(item)]["brand"]; };
  const auto categories = [&](Id item) -> Bag { return items[static_cast<std::size_t>(item)]["categories"]; };
  HostFeatures features;
  auto &history_items = features.of(Field::history_items),
       &history_brands = features.of(Field::history_brands),
       &history_categories = features.of(Field::history_categories);
  const auto open_history_bags = [&] {
    for (auto* bags : {&history_items, &history_brands, &history_categories}) bags->emplace_back();
  };
  if (sequence) features.first_position.push_back(0);
  for (std::size_t row = 0; row < batch["user"].size(); ++row) {
    const Id item = batch["item"][row];
    features.of(Field::user).push_back({batch["user"][row].get<Id>()});
    features.of(Field::item).push_back({item});
    features.of(Field::brand).push_back({brand(item)});
    features.of(Field::categories).push_back(categories(item));
    if (!sequence) open_history_bags();
    for (const Id seen : batch["history"][row].get<Bag>()) {
      if (sequence) open_history_bags();
      history_items.back().push_back(seen);
      if (brand(seen) != 0) history_brands.back().push_back(brand(seen));
      for (const Id category : categories(seen)) history_categories.back().push_back(category);
    }
    if (sequence) features.first_position.push_back(static_cast<std::int64_t>(history_items.size()));
  }
  return features;
}

/// The same with the examples of a fixture whose rows have some.
HostFeatures features_of(const json& fixture, const json& batch, bool sequence) {
  if (!batch.contains("examples")) return features_of_rows(fixture["items"], batch, sequence);
  const json& pool = fixture["extra"]["pool"];
  json rows = batch;
  HostExamples examples;
  for (const json& of_row : batch["examples"]) {
    examples.each = static_cast<int>(of_row.size());
    for (const Id number : of_row.get<std::vector<Id>>()) {
      const auto found = std::ranges::find(examples.number, number);
      examples.of_row.push_back(number < 0 ? -1 : static_cast<std::int32_t>(found - examples.number.begin()));
      if (number < 0 || found != examples.number.end()) continue;
      examples.number.push_back(number);
      for (const char* key : {"user", "item", "history"})
        rows[key].push_back(pool[key][static_cast<std::size_t>(number)]);
    }
  }
  HostFeatures features = features_of_rows(fixture["items"], rows, sequence);
  features.examples = examples;
  return features;
}

/// A backbone, its parts and tables alike seen as named arrays.
class Model {
 public:
  Model(const Context& context, const BackboneInfo& info, const BackboneOptions& options)
      : context_(context), backbone_(info.make(context, options)) {}

  Backbone<float>& backbone() { return *backbone_; }

  std::map<std::string, std::vector<std::int64_t>> shapes() {
    std::map<std::string, std::vector<std::int64_t>> out;
    for (const auto& part : parts()) out[part.name] = part.shape;
    each_table([&](Embedding<float>& embedding, Embedding<float>::Table& table) {
      out[table.name] = {table.rows, embedding.width()};
    });
    return out;
  }

  void set_values(const Values& values) {
    Parameters<float>& parameters = backbone_->parameters();
    for (const auto& part : parts()) {
      const std::vector<double>& from = values.at(part.name);
      const std::vector<float> narrow(from.begin(), from.end());
      copy_to_device(context_, parameters.value(parameters.find(part.name)), narrow.data(),
                     narrow.size() * sizeof(float));
    }
    each_table([&](Embedding<float>&, Embedding<float>::Table& table) {
      const std::vector<double>& from = values.at(table.name);
      const std::vector<float> narrow(from.begin(), from.end());
      table.weights.assign(context_, std::span<const float>(narrow));
    });
  }

  Values values() {
    Parameters<float>& parameters = backbone_->parameters();
    Values out;
    for (const auto& part : parts())
      out[part.name] = read(part, parameters.value(parameters.find(part.name)));
    each_table([&](Embedding<float>&, Embedding<float>::Table& table) {
      const std::vector<float> weights = table.weights.to_host(context_);
      out[table.name] = {weights.begin(), weights.end()};
    });
    return out;
  }

  /// After backward. A table's is put together from those of the bags: dE[id] = sum d_bag / (bag's size).
  Values gradients(const HostFeatures& features) {
    Parameters<float>& parameters = backbone_->parameters();
    Values out;
    for (const auto& part : parts()) {
      if (part.trained) out[part.name] = read(part, parameters.gradient(parameters.find(part.name)));
    }
    each_table([&](Embedding<float>& embedding, Embedding<float>::Table& table) {
      const auto width = static_cast<std::size_t>(embedding.width());
      std::vector<double>& sum = out[table.name];
      sum.resize(static_cast<std::size_t>(table.rows) * width);
      for (int f = 0; f < kFields; ++f) {
        const auto field = static_cast<Field>(f);
        if (vocabulary_of(field) != table.vocabulary || embedding.gradient(field).size() == 0) continue;
        add_bags(features.of(field), host_rows(embedding.gradient(field)), width, sum);
      }
    });
    return out;
  }

 private:
  const std::vector<Parameters<float>::Part>& parts() const { return backbone_->parameters().parts(); }

  template <class Function>
  void each_table(const Function& function) {
    for (Embedding<float>* embedding : backbone_->embeddings()) {
      for (Embedding<float>::Table& table : embedding->tables()) function(*embedding, table);
    }
  }

  std::vector<double> read(const Parameters<float>::Part& part, const float* from) const {
    std::vector<float> host(static_cast<std::size_t>(part.size));
    copy_to_host(context_, host.data(), from, host.size() * sizeof(float));
    return {host.begin(), host.end()};
  }

  /// The elements of a tensor that may be a slice of columns.
  std::vector<float> host_rows(const Tensor<float>& tensor) const {
    std::vector<float> out(static_cast<std::size_t>(tensor.size()));
    for (std::int64_t row = 0; row < tensor.rows(); ++row) {
      copy_to_host(context_, out.data() + row * tensor.cols(), tensor.data() + row * tensor.stride(),
                   static_cast<std::size_t>(tensor.cols()) * sizeof(float));
    }
    return out;
  }

  static void add_bags(const std::vector<std::vector<Id>>& bags, const std::vector<float>& d_bags,
                       std::size_t width, std::vector<double>& sum) {
    ASSERT_EQ(d_bags.size(), bags.size() * width);
    for (std::size_t bag = 0; bag < bags.size(); ++bag) {
      for (const Id id : bags[bag]) {
        for (std::size_t d = 0; id != 0 && d < width; ++d) {
          sum[static_cast<std::size_t>(id) * width + d] +=
              static_cast<double>(d_bags[bag * width + d]) / static_cast<double>(bags[bag].size());
        }
      }
    }
  }

  const Context& context_;
  std::unique_ptr<Backbone<float>> backbone_;
};

double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double x : values) most = std::max(most, std::fabs(x));
  return most;
}

/// Each array by itself, norm-wise. One that is zero in exact arithmetic (a bias before batch norm) may hold
/// rounding errors of the others.
void expect_values(const Values& values, const Values& reference) {
  double of_all = 0;
  std::set<std::string> names, expected_names;
  for (const auto& [name, expected] : reference) {
    of_all = std::max(of_all, largest(expected));
    expected_names.insert(name);
  }
  for (const auto& [name, found] : values) names.insert(name);
  ASSERT_EQ(names, expected_names);
  for (const auto& [name, expected] : reference) {
    const std::vector<double>& found = values.at(name);
    if (largest(expected) > 0) {
      EXPECT_LT(norm_error(found, expected), kLimit) << name;
    } else {
      ASSERT_EQ(found.size(), expected.size()) << name;
      for (const double x : found) EXPECT_LT(std::fabs(x), 1e-6 * of_all) << name;
    }
  }
}

/// Mean binary cross-entropy of logits and its gradient in them.
double bce(const std::vector<float>& logits, const std::vector<double>& labels,
           std::vector<float>& d_logits) {
  const auto n = static_cast<double>(labels.size());
  double sum = 0;
  d_logits.clear();
  for (std::size_t k = 0; k < labels.size(); ++k) {
    const double z = logits[k];
    sum += std::max(z, 0.0) - z * labels[k] + std::log1p(std::exp(-std::fabs(z)));
    d_logits.push_back(static_cast<float>((1 / (1 + std::exp(-z)) - labels[k]) / n));
  }
  return sum / n;
}

struct GoldenCase {
  BackboneInfo info;
  std::string fixture;
};

std::ostream& operator<<(std::ostream& out, const GoldenCase& test) {
  return out << test.fixture;
}

/// Every backbone has a fixture of its name, those with a choice of layers one more for each and those that
/// take an extra vector one for each kind; but mf, which has a PyTorch test of its own.
std::vector<GoldenCase> cases() {
  std::vector<GoldenCase> out;
  for (const BackboneInfo& info : backbones()) {
    if (info.name == "mf") continue;
    out.push_back({info, std::string(info.name)});
    if (info.name == "dcnv2") out.push_back({info, "dcnv2_full"});
    if (!info.takes_extra) continue;
    for (const char* kind : {"text", "kar", "llmcf_wocot", "llmcf_text"})
      out.push_back({info, std::string(info.name) + "_" + kind});
  }
  return out;
}

void expect_golden(const Context& context, const GoldenCase& test) {
  const json fixture = read_fixture(test.fixture);
  ASSERT_FALSE(fixture.is_null()) << "no tests/models/golden/" << test.fixture
                                  << ".json: add the backbone to tools/golden/make_backbone_golden.py";
  Model model(context, test.info, options_of(fixture));
  Backbone<float>& backbone = model.backbone();
  const std::map<std::string, std::vector<std::int64_t>> shapes = fixture["shapes"];
  ASSERT_EQ(model.shapes(), shapes);
  model.set_values(fixture["initial"]);

  std::vector<HostFeatures> features;
  std::vector<std::unique_ptr<DeviceFeatures>> batches;
  std::vector<std::vector<double>> labels;
  for (const json& batch : fixture["batches"]) {
    features.push_back(features_of(fixture, batch, backbone.wants_sequence()));
    batches.push_back(std::make_unique<DeviceFeatures>(context, features.back()));
    labels.push_back(batch["label"]);
  }

  Adam<float> adam(
      context, backbone,
      {.learning_rate = fixture["adam"]["learning_rate"], .l2 = fixture["adam"]["weight_decay"]});
  const std::vector<double> losses = fixture["losses"];
  for (std::size_t step = 0; step < losses.size(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const std::size_t k = step % batches.size();
    const FeatureBatch& batch = batches[k]->batch();
    adam.begin(context, batch);
    std::unique_ptr<Backbone<float>::Saved> saved;
    const Pass pass{.training = true, .seed = 1, .step = static_cast<std::uint32_t>(step)};
    const std::vector<float> logits = backbone.forward(context, batch, pass, &saved).to_host(context);
    std::vector<float> d_logits;
    EXPECT_TRUE(is_close(bce(logits, labels[k], d_logits), losses[step], {0, kLimit}));
    backbone.backward(context, batch, *saved, Tensor<float>::from(context, batch.rows, 1, d_logits));
    if (step == 0) {
      EXPECT_LT(norm_error(logits, fixture["logits"].get<std::vector<double>>()), kLimit);
      expect_values(model.gradients(features[k]), fixture["gradients"]);
    }
    adam.step(context, batch);
  }
  adam.flush(context);
  expect_values(model.values(), fixture["final"]);
  for (std::size_t k = 0; k < batches.size(); ++k) {
    const Tensor<float> logits = backbone.forward(context, batches[k]->batch(), Pass{}, nullptr);
    EXPECT_LT(norm_error(logits.to_host(context), fixture["evaluation_logits"][k].get<std::vector<double>>()),
              kLimit);
  }
}

class BackboneGolden : public testing::TestWithParam<GoldenCase> {};

TEST_P(BackboneGolden, TenStepsArePyTorchs) {
  for (const int threads : {1, 2}) expect_golden(Context(Device::cpu, threads), GetParam());
}

TEST_P(BackboneGolden, TenStepsArePyTorchsOnCuda) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_golden(Context(Device::cuda), GetParam());
}

TEST_P(BackboneGolden, TrainingMovedWhatIsCompared) {
  const json fixture = read_fixture(GetParam().fixture);
  ASSERT_FALSE(fixture.is_null()) << "no tests/models/golden/" << GetParam().fixture << ".json";
  const Values initial = fixture["initial"], final = fixture["final"];
  for (const auto& [name, values] : initial) EXPECT_GT(norm_error(final.at(name), values), 0.01) << name;
}

INSTANTIATE_TEST_SUITE_P(Registry, BackboneGolden, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.fixture; });

}  // namespace
}  // namespace sllmr
