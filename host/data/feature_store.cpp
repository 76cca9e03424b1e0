#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "host/data/features.h"

namespace sllmr {

FeatureStore::FeatureStore(const Context& context, FeatureSource source, int max_history,
                           std::shared_ptr<const ExampleSource> examples)
    : source_(std::move(source)), max_history_(max_history), examples_(std::move(examples)) {
  require(max_history >= 1,
          fmt::format("a row sees at most {} items of the history; it must be at least 1", max_history));
  brand_begin_.reserve(source_.history.size() + 1);
  category_begin_.reserve(source_.history.size() + 1);
  brand_begin_.push_back(0);
  category_begin_.push_back(0);
  for (const Id item : source_.history) {
    const auto at = static_cast<std::size_t>(item);
    if (source_.brands[at] != 0) history_brands_.push_back(source_.brands[at]);
    const auto first = source_.categories.begin() + source_.category_offsets[at],
               last = source_.categories.begin() + source_.category_offsets[at + 1];
    history_categories_.insert(history_categories_.end(), first, last);
    brand_begin_.push_back(static_cast<std::int64_t>(history_brands_.size()));
    category_begin_.push_back(static_cast<std::int64_t>(history_categories_.size()));
  }
  host_ = {source_.history.data(), history_brands_.data(), history_categories_.data(),
           source_.categories.data()};
  device_ = host_;
  if (context.device() == Device::cpu) return;
  const auto put = [&](const Id*& to, std::span<const Id> ids) {
    to = buffers_.emplace_back(context, ids).data();
  };
  put(device_.history, source_.history);
  put(device_.history_brands, history_brands_);
  put(device_.history_categories, history_categories_);
  put(device_.categories, source_.categories);
}

}  // namespace sllmr
