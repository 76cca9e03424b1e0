// Ten steps of the exact step against PyTorch's autograd and Adam in float64.
#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/golden.h"

namespace sllmr {
namespace {

constexpr double kLimit = 1e-5;

void expect_golden(const Context& context) {
  const Golden golden = read_golden();
  ASSERT_EQ(golden.cases.size(), 2U);
  for (const Golden::Case& expected : golden.cases) {
    SCOPED_TRACE(expected.objective);
    DeviceWorld device(context, expected.world, static_cast<int>(golden.batch));
    const std::vector<double> losses = run_golden(context, golden, expected.world, device);
    const HostState state = device.state(context);
    EXPECT_LT(norm_error(losses, expected.losses), kLimit);
    EXPECT_LT(norm_error(state.users.weights, expected.users), kLimit);
    EXPECT_LT(norm_error(state.items.weights, expected.items), kLimit);
    EXPECT_LT(norm_error(state.gate.theta, expected.theta), kLimit);
  }
}

TEST(MfGolden, TenStepsArePyTorchs) {
  expect_golden(Context(Device::cpu, 1));
}

TEST(MfGoldenCuda, TenStepsArePyTorchs) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_golden(Context(Device::cuda));
}

TEST(MfGolden, TrainingMovedWhatIsCompared) {
  for (const Golden::Case& expected : read_golden().cases) {
    EXPECT_GT(norm_error(expected.world.state.users.weights, expected.users), 0.05);
    EXPECT_GT(norm_error(expected.world.state.items.weights, expected.items), 0.05);
    EXPECT_GT(norm_error(expected.world.state.gate.theta, expected.theta), 0.05);
  }
}

}  // namespace
}  // namespace sllmr
