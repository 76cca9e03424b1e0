#include "kernels/exec/cublas.h"

#include <gtest/gtest.h>

#if SLLMR_WITH_CUDA
#include <fstream>
#include <iterator>
#include <string>

#include "kernels/exec/context.h"

namespace sllmr {
namespace {

bool is_loaded() {
  std::ifstream maps("/proc/self/maps");
  const std::string text{std::istreambuf_iterator<char>(maps), {}};
  return text.find("libcublas") != std::string::npos;
}

TEST(CublasLibrary, IsLoadedWhenItIsAskedFor) {
  // With a device another test of this process may have used it.
  if (!cuda_available()) {
    EXPECT_FALSE(is_loaded());
  }
  const Cublas& functions = cublas();
  EXPECT_TRUE(is_loaded());
  EXPECT_STRNE(functions.status_string(CUBLAS_STATUS_NOT_INITIALIZED), "");
  cublasHandle_t handle = nullptr;
  EXPECT_EQ(functions.create(&handle) == CUBLAS_STATUS_SUCCESS, cuda_available());
  if (handle != nullptr) {
    EXPECT_EQ(functions.destroy(handle), CUBLAS_STATUS_SUCCESS);
  }
}

}  // namespace
}  // namespace sllmr
#endif
