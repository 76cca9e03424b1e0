#include "kernels/exec/device_exchange.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/exec/memory.h"
#include "kernels/exec/nccl/nccl_link.h"
#include "tests/support/errors.h"
#include "tests/support/thread_ranks.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

/// Rank r's numbers for rank s: r + s of them, all 100 r + s.
std::vector<int> numbers(int from, int to) {
  return std::vector<int>(static_cast<std::size_t>(from + to), 100 * from + to);
}
std::int64_t bytes_of(const std::vector<int>& values) {
  return std::ssize(values) * static_cast<std::int64_t>(sizeof(int));
}

void expect_exchanges(const Context& context) {
  Communicator& own = context.ranks();
  std::vector<int> sent, expected, all;
  std::vector<std::int64_t> send_bytes, receive_bytes, gather_bytes;
  for (int r = 0; r < own.size(); ++r) {
    const std::vector<int> out = numbers(own.rank(), r), in = numbers(r, own.rank()), first = numbers(r, 1);
    sent.insert(sent.end(), out.begin(), out.end());
    expected.insert(expected.end(), in.begin(), in.end());
    all.insert(all.end(), first.begin(), first.end());
    send_bytes.push_back(bytes_of(out));
    receive_bytes.push_back(bytes_of(in));
    gather_bytes.push_back(bytes_of(first));
  }
  const std::int64_t before = own.bytes_sent();
  const Buffer<int> from(context, std::span<const int>(sent));
  Buffer<int> to(context, expected.size());
  all_to_all_v_on_device(context, from.data(), send_bytes, to.data(), receive_bytes);
  EXPECT_EQ(to.to_host(context), expected);
  EXPECT_EQ(own.bytes_sent() - before, bytes_of(sent) - send_bytes[static_cast<std::size_t>(own.rank())]);
  const std::vector<int> mine = numbers(own.rank(), 1);
  const Buffer<int> own_part(context, std::span<const int>(mine));
  Buffer<int> gathered(context, all.size());
  all_gather_v_on_device(context, own_part.data(), gather_bytes, gathered.data());
  EXPECT_EQ(gathered.to_host(context), all);
  EXPECT_EQ(own.bytes_sent() - before, bytes_of(sent) - send_bytes[static_cast<std::size_t>(own.rank())] +
                                           bytes_of(mine) * (own.size() - 1));
}

TEST(DeviceExchange, OnTheCpuItIsTheHosts) {
  for (const int ranks : {1, 2, 5}) {
    ThreadRanks::run(ranks, [](Communicator& own) {
      Context context(Device::cpu, 1, &own);
      EXPECT_EQ(connect_devices(context, Transport::automatic), "");
      expect_exchanges(context);
    });
  }
  Context context(Device::cpu, 1);
  EXPECT_THAT(error_of([&] { connect_devices(context, Transport::nccl); }),
              HasSubstr("transport=nccl is for GPUs"));
}

class DeviceExchangeCuda : public testing::Test {
  void SetUp() override {
    if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  }
};

TEST_F(DeviceExchangeCuda, GoesByWayOfTheHost) {
  ThreadRanks::run(3, [](Communicator& own) {
    Context context(Device::cuda, 1, &own);
    EXPECT_EQ(connect_devices(context, Transport::host), "host");
    expect_exchanges(context);
  });
}

/// A step of its own in tests/gpu_check.py: not every machine with a GPU has NCCL.
class NcclLink : public testing::Test {
  void SetUp() override {
    if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
    if (!why_no_nccl().empty()) GTEST_SKIP() << why_no_nccl();
  }

 protected:
  int gpus_ = static_cast<int>(list_devices().size()) - 1;
};

TEST_F(NcclLink, DoesNotConnectRanksThatShareAGpu) {
  ThreadRanks::run(gpus_ + 1, [&](Communicator& own) {
    Context context(Device::cuda, 1, &own);
    EXPECT_THAT(connect_devices(context, Transport::automatic), HasSubstr("share a GPU"));
    EXPECT_THAT(error_of([&] { connect_devices(context, Transport::nccl); }), HasSubstr("share a GPU"));
  });
}

TEST_F(NcclLink, PassesWhatAGpuSendsToItself) {
  Context context(Device::cuda, 1);
  context.link(open_nccl(context));
  ASSERT_NE(context.link(), nullptr);
  for (int times = 0; times < 3; ++times) expect_exchanges(context);
}

TEST_F(NcclLink, ConnectsSeveralGpus) {
  for (int ranks = 2; ranks <= gpus_; ranks *= 2) {
    ThreadRanks::run(ranks, [&](Communicator& own) {
      Context context(Device::cuda, 1, &own);
      EXPECT_THAT(connect_devices(context, Transport::nccl), HasSubstr("nccl 2."));
      for (int times = 0; times < 3; ++times) expect_exchanges(context);
    });
  }
}

}  // namespace
}  // namespace sllmr
