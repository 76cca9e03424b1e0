#include "host/runs/provenance.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace sllmr {
namespace {

using testing::MatchesRegex;

TEST(Provenance, NamesMachineCommitDateAndData) {
  const nlohmann::json report = provenance("NVIDIA H100", 0xabcULL);
  EXPECT_EQ(report.at("data_hash"), "0000000000000abc");
  EXPECT_EQ(report.at("machine").at("gpu"), "NVIDIA H100");
  EXPECT_NE(report.at("machine").at("cpu"), "");
  EXPECT_GE(report.at("machine").at("cores").get<int>(), 1);
  EXPECT_NE(report.at("commit"), "");
  EXPECT_THAT(report.at("date").get<std::string>(),
              MatchesRegex("20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z"));
}

}  // namespace
}  // namespace sllmr
