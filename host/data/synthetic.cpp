#include "host/data/synthetic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/data/feature_source.h"
#include "kernels/exec/error.h"
#include "kernels/exec/random.h"

namespace sllmr {

namespace {

/// Draws of one user or item, as many as are asked for.
class Stream {
 public:
  Stream(std::uint64_t seed, std::uint64_t row) : seed_(seed), row_(row) {}
  std::uint32_t word() {
    if (at_ == 4) {
      draw_ = philox(seed_, 0, row_, Purpose::synthetic, block_++);
      at_ = 0;
    }
    return draw_.word[at_++];
  }
  int below(int n) { return static_cast<int>(sllmr::below(word(), static_cast<std::uint32_t>(n))); }
  double uniform() { return sllmr::uniform(word()); }

 private:
  std::uint64_t seed_, row_;
  std::uint32_t block_ = 0;
  int at_ = 4;
  Draw draw_{};
};

/// An index below n, small ones more often: the k-th with a chance of about 1 / (k + 1).
int zipf(Stream& stream, int n) {
  return std::min(n - 1, static_cast<int>(std::pow(n + 1.0, stream.uniform())) - 1);
}

}  // namespace

Dataset synthetic_dataset(const SyntheticOptions& options) {
  require(options.users > 0 && options.topics > 0 && options.items >= 20 * options.topics,
          "synthetic data need users, topics and at least 20 items a topic");
  constexpr int kShortest = 5;
  constexpr std::uint64_t kUserRows = std::uint64_t{1} << 32;  // users and items draw from different rows
  Dataset data;
  data.name = data.source = "synthetic";
  data.titles.emplace_back();
  data.attribute_offsets = {0, 0};
  for (int item = 0; item < options.items; ++item) {
    Stream stream(options.seed, static_cast<std::uint64_t>(item));
    const int topic = item % options.topics;
    data.items.add(fmt::format("item{}", item));
    data.titles.push_back(fmt::format("topic{} word{}x{} word{}x{} thing{}", topic, topic, stream.below(12),
                                      topic, stream.below(12), stream.below(500)));
    data.item_attributes.push_back(data.attributes.add(fmt::format("shelf{}", topic / 2)));
    data.attribute_offsets.push_back(static_cast<std::int64_t>(data.item_attributes.size()));
  }
  data.history_offsets = {0, 0};
  for (int user = 0; user < options.users; ++user) {
    Stream stream(options.seed, kUserRows + static_cast<std::uint64_t>(user));
    data.users.add(fmt::format("user{}", user));
    const int topics[2] = {stream.below(options.topics), stream.below(options.topics)};
    const bool warm = stream.uniform() < 0.5;
    const int extra = warm ? static_cast<int>(-2 * options.mean_history * std::log1p(-stream.uniform())) : 0;
    const auto first = static_cast<std::ptrdiff_t>(data.history.size());
    const int length = std::min(kShortest + extra, options.items / options.topics);
    while (static_cast<int>(data.history.size()) - first < length) {
      const int topic =
          stream.uniform() < options.off_topic ? stream.below(options.topics) : topics[stream.below(2)];
      const int rank = zipf(stream, options.items / options.topics);
      const Id item = 1 + topic + rank * options.topics;
      if (std::find(data.history.begin() + first, data.history.end(), item) == data.history.end()) {
        data.history.push_back(item);
      }
    }
    data.history_offsets.push_back(static_cast<std::int64_t>(data.history.size()));
  }
  data.hash = content_hash(data);
  data.feature_hash = feature_hash(data);
  data.text_hash = text_hash(data);
  return data;
}

}  // namespace sllmr
