// Memory, sorting, matrix products and devices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <limits>
#include <numeric>
#include <span>
#include <thread>
#include <vector>

#include "kernels/exec/gemm.h"
#include "kernels/exec/launch.h"
#include "kernels/exec/launch_graph.h"
#include "kernels/exec/memory.h"
#include "kernels/exec/parallel.h"
#include "kernels/exec/sort.h"
#include "kernels/exec/tensor.h"
#include "kernels/exec/tiles.h"
#include "tests/support/compare.h"
#include "tests/support/errors.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

TEST(Buffer, StartsAtZeroAndKeepsWhatItIsGiven) {
  const Context context(Device::cpu, 1);
  Buffer<float> buffer(context, 5);
  EXPECT_EQ(buffer.to_host(context), std::vector<float>(5));
  const std::vector<float> values{1, 2, 3, 4, 5};
  buffer.assign(context, values);
  EXPECT_EQ(buffer.to_host(context), values);
  buffer.zero(context);
  EXPECT_EQ(buffer.to_host(context), std::vector<float>(5));
  EXPECT_EQ(error_of([&] { buffer.assign(context, std::vector<float>(4)); }), "Buffer::assign: sizes differ");
}

TEST(Buffer, IsAlignedAndMayBeEmpty) {
  const Context context(Device::cpu, 1);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(Buffer<char>(context, 3).data()) % 256, 0U);
  const Buffer<int> empty(context, 0);
  EXPECT_EQ(empty.data(), nullptr);
  EXPECT_TRUE(empty.to_host(context).empty());
}

// Sizes whose bytes would wrap around to few, and such as no machine has.
TEST(Sizes, NoProductWrapsAround) {
  EXPECT_EQ(size_product(3, std::int64_t{5}, sizeof(double)), 120U);
  EXPECT_EQ(size_product(std::int64_t{1} << 40, 0), 0U);
  EXPECT_EQ(size_product(std::numeric_limits<std::int64_t>::max()), (std::size_t{1} << 63) - 1);
  EXPECT_EQ(error_of([] { size_product(std::size_t{1} << 63); }),
            "out of memory: a size of 9223372036854775808 asked for; use a smaller width or batch");
  EXPECT_THAT(error_of([] { size_product(std::int64_t{1} << 32, std::int64_t{1} << 31); }),
              HasSubstr("4294967296 x 2147483648 asked for"));
  EXPECT_THAT(error_of([] { size_product(-1, 4); }), HasSubstr("-1 x 4"));

  const Context context(Device::cpu, 1);
  for (const std::int64_t size : {std::numeric_limits<std::int64_t>::max(), std::int64_t{1537228672809129302},
                                  std::int64_t{1} << 60, std::int64_t{-1}}) {
    EXPECT_THAT(error_of([&] { Buffer<std::array<float, 3>>(context, static_cast<std::size_t>(size)); }),
                HasSubstr("out of memory"))
        << size;
  }
  EXPECT_THAT(error_of([&] { Tensor<float>(context, std::int64_t{1} << 32, std::int64_t{1} << 32); }),
              HasSubstr("out of memory"));
  EXPECT_THAT(error_of([&] { device_allocate(Device::cpu, std::numeric_limits<std::size_t>::max() - 5); }),
              HasSubstr("out of memory"));
}

// An exception that left a region would end the program.
TEST(Parallel, WhatABodyThrowsReachesTheCaller) {
  for (const int threads : {1, 4}) {
    const Context context(Device::cpu, threads);
    std::vector<int> seen(100);
    const auto throws_at_70 = [&](std::int64_t k) {
      seen[static_cast<std::size_t>(k)] = 1;
      if (k == 70) throw Error("the seventieth");
    };
    EXPECT_EQ(
        error_of([&] { launch(context, "test", 100, [&](CpuLanes, std::int64_t k) { throws_at_70(k); }); }),
        "the seventieth");
    EXPECT_EQ(error_of([&] { for_tiles(context, 100, [&](std::int64_t k, int) { throws_at_70(k); }); }),
              "the seventieth");
    EXPECT_EQ(error_of([&] {
                SharedItems items(100);
                on_threads(threads, [&](int) { items.take(throws_at_70); });
              }),
              "the seventieth");
    // Also from a region within a region, and of any type.
    EXPECT_THROW(for_tiles(context, 3,
                           [&](std::int64_t, int) {
                             launch(context, "test", 2, [](CpuLanes, std::int64_t) { throw 5; });
                           }),
                 int);
  }
}

TEST(Parallel, EveryPartIsDoneOnceHoweverManyThreadsThereAre) {
  for (int round = 0; round < 300; ++round) {
    const int parts = 1 + round % 9;
    std::vector<std::atomic<int>> done(static_cast<std::size_t>(parts));
    on_threads(parts, [&](int part) {
      EXPECT_TRUE(in_region());
      ++done[static_cast<std::size_t>(part)];
    });
    EXPECT_FALSE(in_region());
    for (const auto& times : done) ASSERT_EQ(times, 1);
    // Long enough for helpers to have gone to sleep.
    if (round % 100 == 99) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

// No body may wait for another; here each does for a while, to see that helpers come, also from their sleep.
TEST(Parallel, HelpersTakePart) {
  for (int round = 0; round < 200; ++round) {
    if (round % 20 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> begun = 0;
    std::atomic<bool> met = true;
    on_threads(2, [&](int) {
      ++begun;
      const auto start = std::chrono::steady_clock::now();
      while (begun < 2) {
        if (std::chrono::steady_clock::now() - start > std::chrono::seconds(20)) {
          met = false;
          return;
        }
        std::this_thread::yield();
      }
    });
    ASSERT_TRUE(met) << "round " << round;
  }
}

TEST(Parallel, ARegionWithinARegionIsTheThreadsOwn) {
  std::atomic<int> inner = 0;
  on_threads(3, [&](int) {
    on_threads(5, [&](int part) {
      EXPECT_EQ(part, 0);
      ++inner;
    });
    on_shares(5, 7, [&](int part, std::int64_t first, std::int64_t last) {
      EXPECT_EQ(part, 0);
      EXPECT_EQ(last - first, 7);
    });
    EXPECT_TRUE(in_region());
  });
  EXPECT_EQ(inner, 3);
}

TEST(Parallel, SeveralCallersAtTheSameTimeAllGetTheirWork) {
  std::atomic<int> sum = 0;
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 500; ++round) on_threads(3, [&](int part) { sum += part; });
    });
  }
  callers.clear();
  EXPECT_EQ(sum, 4 * 500 * 3);
}

TEST(Parallel, TheFirstErrorComesOutAndTheOtherPartsAreDone) {
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> done = 0;
    EXPECT_EQ(error_of([&] {
                on_threads(4, [&](int part) {
                  ++done;
                  if (part == round % 4) throw Error("this one");
                });
              }),
              "this one");
    EXPECT_EQ(done, 4);
  }
}

// Helpers do not come along: the child does all parts itself.
TEST(Parallel, AForkedChildStillDoesItsWork) {
  on_threads(2, [](int) {});
  const pid_t child = ::fork();
  if (child == 0) {
    std::atomic<int> sum = 0;
    on_threads(4, [&](int part) { sum += part; });
    ::_exit(sum);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 6);
}

TEST(Parallel, DefaultThreadsAreWhatWasChosenLast) {
  const int before = default_threads();
  EXPECT_GE(available_cores(), 1);
  set_default_threads(7);
  EXPECT_EQ(default_threads(), 7);
  set_default_threads(before);
}

TEST(Parallel, EveryItemIsTakenOnceInSharesOfAThread) {
  for (const int threads : {1, 3, 8}) {
    for (const std::int64_t items : {0, 1, 7, 8, 100}) {
      std::vector<int> shared(static_cast<std::size_t>(items)), taken(shared.size());
      on_shares(threads, items, [&](int thread, std::int64_t first, std::int64_t last) {
        EXPECT_LT(thread, threads);
        EXPECT_LT(first, last);
        EXPECT_LE(last - first, items / threads + 1);
        for (std::int64_t k = first; k < last; ++k) ++shared[static_cast<std::size_t>(k)];
      });
      SharedItems each(items);
      on_threads(threads,
                 [&](int) { each.take([&](std::int64_t k) { ++taken[static_cast<std::size_t>(k)]; }); });
      EXPECT_EQ(shared, std::vector<int>(shared.size(), 1));
      EXPECT_EQ(taken, shared);
    }
  }
}

TEST(BufferCuda, HoldsWhatItWasGivenThoughTheHostWentOn) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const Context context(Device::cuda);
  // More than the pinned memory that small copies leave from, which is written again and again; and one that
  // is too large for it.
  std::vector<Buffer<int>> buffers;
  std::vector<int> host;
  constexpr int kCopies = 100;
  for (int copy = 0; copy <= kCopies; ++copy) {
    host.assign(copy == kCopies ? 1 << 20 : 50'000, copy);
    buffers.emplace_back(context, std::span<const int>(host));
  }
  for (int copy = 0; copy <= kCopies; ++copy) {
    host = buffers[static_cast<std::size_t>(copy)].to_host(context);
    EXPECT_EQ(std::count(host.begin(), host.end(), copy), static_cast<std::ptrdiff_t>(host.size()));
  }
}

TEST(Buffer, TheLedgerCountsWhatIsHeld) {
  const Context context(Device::cpu, 1);
  const std::size_t before = device_bytes(Device::cpu);
  {
    Buffer<double> first(context, 1000);
    EXPECT_EQ(device_bytes(Device::cpu), before + 8000);
    Buffer<double> second(std::move(first));
    EXPECT_EQ(device_bytes(Device::cpu), before + 8000);
    second = Buffer<double>(context, 10);
    EXPECT_EQ(device_bytes(Device::cpu), before + 80);
    EXPECT_EQ(second.size(), 10U);
  }
  EXPECT_EQ(device_bytes(Device::cpu), before);
  EXPECT_GE(device_peak_bytes(Device::cpu), before + 8000);
}

TEST(MemoryPool, WhatCannotBeHadIsNotCountedAndFreesWhatNobodyHas) {
  const std::size_t piece = MemoryPool::size_class(std::size_t{1} << 20), before = device_bytes(Device::cpu);
  MemoryPool pool(Device::cpu);
  pool.give_back(pool.take(piece), piece);
  EXPECT_EQ(device_bytes(Device::cpu), before + piece) << "kept for the next one";
  EXPECT_NE(error_of([&] { pool.take(std::numeric_limits<std::size_t>::max()); }), "");
  EXPECT_EQ(pool.peak_bytes(), piece);
  EXPECT_EQ(device_bytes(Device::cpu), before);
  void* again = pool.take(piece);
  {
    const MemoryPool::Hold hold(pool);
    pool.give_back(again, piece);
    EXPECT_NE(error_of([&] { pool.take(std::numeric_limits<std::size_t>::max()); }), "");
    EXPECT_EQ(device_bytes(Device::cpu), before + piece) << "a recording may hold its address";
    again = pool.take(piece);
  }
  EXPECT_EQ(pool.peak_bytes(), piece);
  pool.give_back(again, piece);
}

TEST(KeySort, IsStable) {
  const Context context(Device::cpu, 1);
  TestNumbers numbers(1);
  for (const std::int64_t n : {0, 1, 2, 1000}) {
    for (const std::int32_t max_key : {0, 50, 3000, 0x7FFFFFFF}) {
      KeySort sort(context, 1000, max_key);
      const auto size = static_cast<std::size_t>(n);
      std::vector<std::int32_t> keys(size), sorted(size), order(size), expected(size);
      for (auto& key : keys) key = numbers.id(0, 9) == 0 ? max_key : numbers.id(0, std::min(max_key, 4000));
      sort(context, keys.data(), n, sorted.data(), order.data());

      std::iota(expected.begin(), expected.end(), 0);
      std::stable_sort(expected.begin(), expected.end(), [&](std::int32_t a, std::int32_t b) {
        return keys[static_cast<std::size_t>(a)] < keys[static_cast<std::size_t>(b)];
      });
      EXPECT_EQ(order, expected);
      std::ranges::sort(keys);
      EXPECT_EQ(sorted, keys);
    }
  }
}

TEST(KeySort, RefusesMoreThanItWasMadeFor) {
  const Context context(Device::cpu, 1);
  KeySort sort(context, 3, 9);
  std::vector<std::int32_t> four(4);
  EXPECT_EQ(error_of([&] { sort(context, four.data(), 4, four.data(), four.data()); }),
            "KeySort: more items than it was made for");
}

struct ProductShape {
  std::int64_t m, n, k;
};

TEST(Multiply, IsTheNaiveProductForEveryTranspose) {
  const Context context(Device::cpu, 1);
  TestNumbers numbers(1);
  for (const ProductShape shape : {ProductShape{1, 1, 1}, {3, 5, 7}, {17, 1, 33}, {64, 48, 20}}) {
    for (const bool of_a : {false, true}) {
      for (const bool of_b : {false, true}) {
        const auto [m, n, k] = shape;
        // Rows are wider than they need to be: the strides must be honoured.
        const std::int64_t a_stride = (of_a ? m : k) + 3, b_stride = (of_b ? k : n) + 2, stride = n + 1;
        const auto cells = [&](std::int64_t rows, std::int64_t of_row) {
          return numbers.many(static_cast<std::size_t>(rows * of_row), -1, 1);
        };
        std::vector<float> a = cells(of_a ? k : m, a_stride), b = cells(of_b ? n : k, b_stride);
        const std::vector<float> before = cells(m, stride);
        const Matrix<const float> left(a.data(), of_a ? k : m, of_a ? m : k, a_stride),
            right(b.data(), of_b ? n : k, of_b ? k : n, b_stride);
        const Factor<float> x(left, of_a), y(right, of_b);
        std::vector<float> replaced = before, added = before;
        multiply(context, x, y, Matrix<float>(replaced.data(), m, n, stride));
        multiply_add(context, x, y, Matrix<float>(added.data(), m, n, stride));

        std::vector<double> product(before.begin(), before.end()), sum = product;
        for (std::int64_t row = 0; row < m; ++row) {
          for (std::int64_t column = 0; column < n; ++column) {
            double of_both = 0;
            for (std::int64_t c = 0; c < k; ++c) {
              of_both += static_cast<double>(of_a ? left.row(c)[row] : left.row(row)[c]) *
                         static_cast<double>(of_b ? right.row(column)[c] : right.row(c)[column]);
            }
            product[static_cast<std::size_t>(row * stride + column)] = of_both;
            sum[static_cast<std::size_t>(row * stride + column)] += of_both;
          }
        }
        EXPECT_TRUE(all_near(replaced, product, {1e-5, 1e-6})) << m << " x " << n << " x " << k;
        EXPECT_TRUE(all_near(added, sum, {1e-5, 1e-6})) << m << " x " << n << " x " << k;
      }
    }
  }
}

TEST(Multiply, DoesNotReadWhatItReplaces) {
  const Context context(Device::cpu, 1);
  std::vector<float> a{1, 2}, b{3, 4}, c{kNan};
  multiply(context, Matrix<float>(a.data(), 1, 2), Matrix<float>(b.data(), 2, 1),
           Matrix<float>(c.data(), 1, 1));
  EXPECT_EQ(c[0], 11.0F);
}

TEST(Multiply, RefusesShapesThatDoNotFit) {
  const Context context(Device::cpu, 1);
  const Tensor<float> a(context, 2, 3), b(context, 3, 4), c(context, 2, 4);
  EXPECT_EQ(error_of([&] { multiply(context, a, transposed(b), c); }),
            "a product of [2 x 3] and [4 x 3] does not fit [2 x 4]");
  EXPECT_EQ(error_of([&] { multiply_add(context, a, b, c.columns(0, 3)); }),
            "a product of [2 x 3] and [3 x 4] does not fit [2 x 3]");
}

TEST(Multiply, RefusesDimensionsThatBlasCannotCount) {
  const Context context(Device::cpu, 1);
  EXPECT_THAT(error_of([&] {
                float* const none = nullptr;
                const Matrix<float> tall(none, std::int64_t{1} << 31, 1);
                multiply(context, tall, Matrix<float>(none, 1, 1), tall);
              }),
              HasSubstr("use smaller tiles"));
}

TEST(LaunchGraph, NeedsACudaDevice) {
  const Context context(Device::cpu, 1);
  EXPECT_THAT(error_of([&] { LaunchGraph graph(context); }), HasSubstr("needs a CUDA device"));
}

/// c = a b + c, n x n, a number of times; sizes, addresses and the number of launches change from run to run.
TEST(LaunchGraphCuda, DoesWhatTheLaunchesDo) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const Context context(Device::cuda);
  TestNumbers numbers(1);
  const Buffer<float> a(context, numbers.many(64 * 64, -1, 1)), b(context, numbers.many(64 * 64, -1, 1));
  Buffer<float> plain[2] = {{context, 64 * 64}, {context, 64 * 64}},
                graphed[2] = {{context, 64 * 64}, {context, 64 * 64}};
  LaunchGraph graph(context);
  constexpr int kRuns = 12;
  for (int run = 0; run < kRuns; ++run) {
    const std::int64_t n = 8 + 5 * (run % 7);
    const auto work = [&](Buffer<float>& c) {
      for (int k = 0; k < 1 + run % 2; ++k) {
        multiply_add(context, Matrix<const float>(a.data() + run, n, n, 64),
                     Matrix<const float>(b.data(), n, n, 64), Matrix<float>(c.data(), n, n, 64));
      }
      fill_zero(context, c.data() + 64 * 64 - 8, 8 * sizeof(float));
    };
    work(plain[run % 2]);
    graph.run([&] { work(graphed[run % 2]); });
  }
  for (int k = 0; k < 2; ++k) EXPECT_EQ(graphed[k].to_host(context), plain[k].to_host(context));
  EXPECT_LT(graph.built(), kRuns - 2) << "a graph is built anew in every run";
}

TEST(LaunchGraphCuda, AnErrorLeavesTheStreamUsable) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const Context context(Device::cuda);
  Buffer<int> buffer(context, std::vector<int>{1, 2, 3});
  LaunchGraph graph(context);
  const auto clear = [&] { buffer.zero(context); };
  graph.run(clear);
  EXPECT_EQ(error_of([&] { graph.run([] { throw Error("in the middle"); }); }), "in the middle");
  buffer.assign(context, std::vector<int>{4, 5, 6});
  graph.run(clear);
  EXPECT_EQ(buffer.to_host(context), std::vector<int>(3));
}

TEST(Devices, NamesAreParsed) {
  EXPECT_EQ(parse_device("cpu"), Device::cpu);
  EXPECT_EQ(parse_device("auto"), cuda_available() ? Device::cuda : Device::cpu);
  EXPECT_EQ(error_of([] { parse_device("gpu"); }), "unknown device 'gpu': use auto, cpu or cuda");
  if (!cuda_available()) {
    EXPECT_THAT(error_of([] { parse_device("cuda"); }), HasSubstr("use device=cpu"));
  }
}

TEST(Devices, TheCpuIsAlwaysThere) {
  const std::vector<DeviceInfo> all = list_devices();
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all[0].device, Device::cpu);
  EXPECT_GE(all[0].units, 1);
  EXPECT_GT(all[0].memory_gib, 0);
  EXPECT_EQ(Context(Device::cpu, 3).threads(), 3);
  EXPECT_GE(Context(Device::cpu).threads(), 1);
}

}  // namespace
}  // namespace sllmr
