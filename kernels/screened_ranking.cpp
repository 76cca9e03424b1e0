#include "kernels/screened_ranking.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "kernels/byte_rows.h"
#include "kernels/exec/interrupt.h"
#include "kernels/exec/parallel.h"
#include "kernels/exec/processor.h"

#if defined(__x86_64__) && defined(__AVX2__) && defined(__FMA__)
#define SLLMR_SCREENS 1
#include <immintrin.h>
#endif

namespace sllmr {

#if defined(SLLMR_SCREENS)

namespace {

#define SLLMR_VNNI __attribute__((target("arch=x86-64-v4,avx512vnni")))

constexpr int kLanes = 16;        // items of a block, numbers of a register
constexpr int kBytes = 4;         // of a row, which one instruction multiplies and adds for each item
constexpr int kGroup = 8;         // users whose sums with two blocks stay in registers
constexpr int kChunk = 64;        // blocks that a group passes before what they leave open is computed
constexpr int kUsersAtOnce = 64;  // that read a chunk from the second-level cache

constexpr std::int32_t kShift = 128;  // from a rounded number of an item to the byte that stands for it

/// Four parts of u . v; the order of the terms depends on the width alone.
inline __m128 quarters(const float* u, const float* v, std::int64_t width) {
  __m256 even = _mm256_setzero_ps(), odd = _mm256_setzero_ps();
  for (std::int64_t k = 0; k < width; k += 16) {
    even = _mm256_fmadd_ps(_mm256_loadu_ps(u + k), _mm256_loadu_ps(v + k), even);
    odd = _mm256_fmadd_ps(_mm256_loadu_ps(u + k + 8), _mm256_loadu_ps(v + k + 8), odd);
  }
  const __m256 eight = _mm256_add_ps(even, odd);
  return _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
}

/// The sum of each one's quarters.
inline __m128 sums_of(__m128 a, __m128 b, __m128 c, __m128 d) {
  return _mm_hadd_ps(_mm_hadd_ps(a, b), _mm_hadd_ps(c, d));
}

/// _mm512_dpbusd_epi32, which GCC 12 surrounds with copies of all sums.
SLLMR_VNNI inline void add_products(__m512i& sums, const __m512i& items, const __m512i& user) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(items), "v"(user));
}

}  // namespace

bool ScreenedItems::supports(std::int64_t width) {
  return has_avx512_vnni() && width % kWidthMultiple == 0 && width <= kMostWidth;
}

ScreenedItems::ScreenedItems(const Context& context, const Matrix<const float>& items)
    : items_(items),
      blocks_((items.rows + 2 * kLanes - 1) / (2 * kLanes) * 2),
      numbers_(context, size_product(blocks_, kLanes * items.cols)),
      per_scale_(context, static_cast<std::size_t>(blocks_)),
      norms_(context, static_cast<std::size_t>(blocks_)),
      residuals_(context, static_cast<std::size_t>(blocks_)) {
  on_shares(context.threads(), blocks_, [&](int, std::int64_t first, std::int64_t last) {
    for (std::int64_t block = first; block < last; ++block) round_block(block);
  });
  for (std::int64_t block = 0; block < blocks_; ++block) {
    regular_ = regular_ && std::isfinite(norms_.data()[block]);
  }
}

void ScreenedItems::round_block(std::int64_t block) {
  const std::int64_t width = items_.cols, first = block * kLanes,
                     count = std::clamp<std::int64_t>(items_.rows - first, 0, kLanes);
  float largest = 0;
  for (std::int64_t lane = 0; lane < count; ++lane) {
    largest = std::max(largest, largest_of(items_.row(first + lane), width));
  }
  if (!std::isfinite(largest)) {
    norms_.data()[block] = largest;
    return;
  }
  const float scale = scale_of(largest);
  float& norm = norms_.data()[block];
  float& residual = residuals_.data()[block];
  std::vector<std::int8_t> row(static_cast<std::size_t>(width));
  std::uint8_t* to = numbers_.data() + block * kLanes * width;
  for (std::int64_t lane = 0; lane < count; ++lane) {
    const RoundedRow norms = round_row(items_.row(first + lane), width, scale, row.data());
    norm = std::max(norm, norms.whole);
    residual = std::max(residual, norms.residual);
    for (std::int64_t k = 0; k < width; ++k) {
      to[(k / kBytes * kLanes + lane) * kBytes + k % kBytes] =
          static_cast<std::uint8_t>(row[static_cast<std::size_t>(k)] + kShift);
    }
  }
  per_scale_.data()[block] = 1 / scale;
}

/// Users that are counted together.
class ScreenedItems::Tile {
  static constexpr int kAtOnce = 4;  // open items of 64 that are listed in one go

 public:
  explicit Tile(const ScreenedItems& items)
      : of_(items), bytes_(static_cast<std::size_t>(kUsersAtOnce * items.items_.cols)) {}

  void count(const Matrix<const float>& users, const RankedUsers& ranked, RankCounts* out) {
    users_.clear();
    for (std::int64_t k = 0; k < ranked.n; ++k) {
      const float* row = users.row(ranked.users[k]);
      const Id positive = ranked.positives[k];
      add(row, positive,
          ranked.positive_scores != nullptr ? ranked.positive_scores[k] : of_.score(row, positive));
    }
    for (std::int64_t chunk = 0; chunk < of_.blocks_; chunk += kChunk) {
      throw_if_interrupted();
      for (std::size_t group = 0; group < users_.size(); group += kGroup) pass(group, chunk);
    }
    for (std::int64_t k = 0; k < ranked.n; ++k) {
      out[k] = counts(users_[static_cast<std::size_t>(k)], ranked, k);
    }
  }

 private:
  struct User {
    const float* row;
    Id positive;
    float score = 0;  // the positive's
    bool regular = false;
    RoundedRow norms{};
    float per_scale = 0;
    std::int32_t shift = 0;  // what kShift in an item's numbers adds to a sum
    std::int32_t above = 0, ties = 0, below = 0;

    /// Counts an item `times` times. False where the score is NaN.
    bool compare(float other, int times) {
      above += other > score ? times : 0;
      ties += other == score ? times : 0;
      below += other < score ? times : 0;
      return !std::isnan(other);
    }
  };

  /// Of a group of users and a chunk of blocks: sums between the thresholds are open.
  struct Screen {
    std::int32_t low[kGroup][kChunk], high[kGroup][kChunk];
    std::uint16_t above_low[kGroup][kChunk], above_high[kGroup][kChunk];  // a bit for each item
  };

  /// The sums of kGroup users' bytes with two blocks', of which `block` is the first one's place in the
  /// chunk.
  SLLMR_VNNI static void compare_blocks(const std::int8_t* users, const std::uint8_t* items,
                                        std::int64_t width, int block, Screen& screen) {
    __m512i sums[kGroup][2];
#pragma GCC unroll 8
    for (auto& both : sums) both[0] = both[1] = _mm512_setzero_si512();
    for (std::int64_t k = 0; k < width; k += kBytes) {
      const __m512i first = _mm512_loadu_si512(items + kLanes * k),
                    second = _mm512_loadu_si512(items + kLanes * (width + k));
#pragma GCC unroll 8
      for (int r = 0; r < kGroup; ++r) {
        std::int32_t bytes = 0;
        std::memcpy(&bytes, users + r * width + k, sizeof bytes);
        const __m512i user = _mm512_set1_epi32(bytes);
        add_products(sums[r][0], first, user);
        add_products(sums[r][1], second, user);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kGroup; ++r) {
#pragma GCC unroll 2
      for (int b = 0; b < 2; ++b) {
        const int at = block + b;
        screen.above_low[r][at] = _mm512_cmpgt_epi32_mask(sums[r][b], _mm512_set1_epi32(screen.low[r][at]));
        screen.above_high[r][at] = _mm512_cmpgt_epi32_mask(sums[r][b], _mm512_set1_epi32(screen.high[r][at]));
      }
    }
  }

  std::int64_t width() const {
    return of_.items_.cols;
  }
  __m128 quarters_of(const User& user, Id item) const {
    return quarters(user.row, of_.items_.row(item), width());
  }
  float score(const User& user, Id item) const {
    return of_.score(user.row, item);
  }
  std::int8_t* bytes(std::size_t k) {
    return bytes_.data() + k * static_cast<std::size_t>(width());
  }

  void add(const float* row, Id positive, float score) {
    User user{.row = row, .positive = positive, .score = score};
    const float largest = largest_of(row, width());
    user.regular = of_.regular_ && std::isfinite(largest);
    if (user.regular) {
      std::int8_t* to = bytes(users_.size());
      const float scale = scale_of(largest);
      user.norms = round_row(row, width(), scale, to);
      user.per_scale = 1 / scale;
      for (std::int64_t k = 0; k < width(); ++k) user.shift += kShift * to[k];
    }
    users_.push_back(user);
  }

  /// Thresholds of a user and the chunk's blocks, in steps of both scales. `r`: the user's place in the
  /// group.
  SLLMR_VNNI void set_thresholds(const User& user, std::size_t r, std::int64_t chunk, std::int64_t blocks) {
    // Where a sum can reach a threshold it is below 2^24, and rounded a few times.
    constexpr float kSlack = 4, kBeyond = 1 << 28;
    // A score in float is as far from the product: at most `width` roundings of terms that add up to |u| |v|.
    const float rounding = static_cast<float>(width()) * 0x1p-23F;
    const float *per_scale = of_.per_scale_.data() + chunk, *norms = of_.norms_.data() + chunk,
                *residuals = of_.residuals_.data() + chunk;
    for (std::int64_t b = 0; b < blocks; ++b) {
      const float steps = user.per_scale * per_scale[b];
      const float bound =
          (user.norms.residual + rounding * user.norms.whole) * norms[b] + user.norms.rounded * residuals[b];
      const float low = (user.score - bound) * steps - kSlack, high = (user.score + bound) * steps + kSlack;
      screen_.low[r][b] = static_cast<std::int32_t>(std::min(std::max(low, -kBeyond), kBeyond)) + user.shift;
      screen_.high[r][b] =
          static_cast<std::int32_t>(std::min(std::max(high, -kBeyond), kBeyond)) + user.shift;
    }
  }

  void pass(std::size_t group, std::int64_t chunk) {
    const std::int64_t blocks = std::min<std::int64_t>(kChunk, of_.blocks_ - chunk);
    const std::size_t n = std::min<std::size_t>(kGroup, users_.size() - group);
    if (std::ranges::none_of(std::span(users_).subspan(group, n), &User::regular)) return;
    for (std::size_t r = 0; r < n; ++r) {
      if (users_[group + r].regular) set_thresholds(users_[group + r], r, chunk, blocks);
    }
    for (int block = 0; block < blocks; block += 2) {
      compare_blocks(bytes(group), of_.numbers_.data() + (chunk + block) * kLanes * width(), width(), block,
                     screen_);
    }
    for (std::size_t r = 0; r < n; ++r) {
      if (users_[group + r].regular) resolve(users_[group + r], r, chunk, blocks);
    }
  }

  /// Adds what is decided, and decides what is open.
  void resolve(User& user, std::size_t r, std::int64_t chunk, std::int64_t blocks) {
    constexpr std::int64_t kBits = 64;
    Id* end = open_.data();
    for (std::int64_t b = 0; b < blocks; b += kBits / kLanes) {
      const std::int64_t first = (chunk + b) * kLanes;
      std::uint64_t real = ~std::uint64_t{0}, low = 0, high = 0;
      if (first == 0) real &= ~std::uint64_t{1};
      if (of_.items_.rows - first < kBits) real &= (std::uint64_t{1} << (of_.items_.rows - first)) - 1;
      std::memcpy(&low, &screen_.above_low[r][b], sizeof low);
      std::memcpy(&high, &screen_.above_high[r][b], sizeof high);
      const int above = std::popcount(high & real);
      std::uint64_t open = low & ~high & real;
      const int left = std::popcount(open);
      user.above += above;
      user.below += std::popcount(real) - above - left;
      // Without asking after each bit whether it was the last: what is written behind the end is overwritten.
      for (int taken = 0; taken < left; taken += kAtOnce) {
        for (int k = 0; k < kAtOnce; ++k, open &= open - 1) {
          end[taken + k] = static_cast<Id>(first + std::countr_zero(open));
        }
      }
      end += left;
    }
    std::fill_n(end, kAtOnce, 0);
    const __m128 positive = _mm_set1_ps(user.score);
    for (const Id* item = open_.data(); item < end; item += kAtOnce) {
      const __m128 scores = sums_of(quarters_of(user, item[0]), quarters_of(user, item[1]),
                                    quarters_of(user, item[2]), quarters_of(user, item[3]));
      const auto count = [&,
                          listed = (1 << std::min<std::ptrdiff_t>(kAtOnce, end - item)) - 1](__m128 which) {
        return std::popcount(static_cast<unsigned>(_mm_movemask_ps(which) & listed));
      };
      user.above += count(_mm_cmpgt_ps(scores, positive));
      user.ties += count(_mm_cmpeq_ps(scores, positive));
      user.below += count(_mm_cmplt_ps(scores, positive));
    }
  }

  RankCounts counts(User& user, const RankedUsers& ranked, std::int64_t k) const {
    bool finite = std::isfinite(user.score);
    if (!user.regular) {
      throw_if_interrupted();
      for (Id item = 1; item < of_.items_.rows; ++item) finite &= user.compare(score(user, item), 1);
    }
    for (std::int64_t e = ranked.excluded_offsets[k]; e < ranked.excluded_offsets[k + 1]; ++e) {
      user.compare(score(user, ranked.excluded[e]), -1);
    }
    const int itself = user.positive != 0 ? 1 : 0;  // is a tie
    return {user.above, user.ties - itself, user.below, finite ? 1 : 0};
  }

  const ScreenedItems& of_;
  std::vector<User> users_;
  std::vector<std::int8_t> bytes_;  // [kUsersAtOnce x width]
  std::array<Id, kChunk * kLanes + kAtOnce> open_;
  Screen screen_{};
};

float ScreenedItems::score(const float* user, Id item) const {
  const __m128 sum = quarters(user, items_.row(item), items_.cols);
  return _mm_cvtss_f32(sums_of(sum, sum, sum, sum));
}

void ScreenedItems::count(const Matrix<const float>& users, const RankedUsers& of, RankCounts* out) const {
  Tile tile(*this);
  for (std::int64_t first = 0; first < of.n; first += kUsersAtOnce) {
    const std::int64_t n = std::min<std::int64_t>(kUsersAtOnce, of.n - first);
    tile.count(users,
               {.users = of.users + first,
                .n = n,
                .positives = of.positives + first,
                .excluded_offsets = of.excluded_offsets + first,
                .excluded = of.excluded,
                .positive_scores = of.positive_scores != nullptr ? of.positive_scores + first : nullptr},
               out + first);
  }
}

#else

bool ScreenedItems::supports(std::int64_t) {
  return false;
}
ScreenedItems::ScreenedItems(const Context&, const Matrix<const float>&) : blocks_(0) {
  throw Error("ScreenedItems: this processor has no instructions for it");
}
float ScreenedItems::score(const float*, Id) const {
  return 0;
}
void ScreenedItems::count(const Matrix<const float>&, const RankedUsers&, RankCounts*) const {}

#endif

}  // namespace sllmr
