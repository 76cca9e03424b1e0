#include "host/base/safetensors.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/host/support.h"

namespace sllmr {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class SafetensorsTest : public testing::Test {
 protected:
  void write_raw(const std::string& header, const std::string& data) const {
    const std::uint64_t length = header.size();
    std::ofstream out(path_, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&length), sizeof length) << header << data;
  }
  // The error for a file with one 4-byte tensor whose header entry is `entry`.
  std::string error_for(const std::string& entry, const std::string& data = "abcd") const {
    write_raw("{" + entry + "}", data);
    return error_of([&] { read_safetensors(path_); });
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "model.safetensors";
  std::vector<float> floats_{1.5F, -2.0F, 3.25F, 0.0F, 1e-30F, 6.0F};
  std::vector<std::int64_t> longs_{1, -2, 1LL << 40};
};

TEST_F(SafetensorsTest, ReadsBackWhatItWrote) {
  const std::vector<double> doubles{0.1};
  const std::vector<std::int32_t> ints{-7, 8};
  const std::vector<std::uint8_t> flags{1, 0, 255};
  write_safetensors(
      path_,
      std::vector{tensor_view<std::uint8_t>("flags", {3}, flags), tensor_view<float>("U", {2, 3}, floats_),
                  tensor_view<std::int64_t>("steps", {3}, longs_), tensor_view<double>("scalar", {}, doubles),
                  tensor_view<std::int32_t>("ids", {2, 1}, ints), tensor_view<float>("none", {0, 4}, {})},
      {{"epoch", "3"}, {"rule", "a \"quoted\" one"}});

  const SafetensorsFile file = read_safetensors(path_);
  EXPECT_EQ(file.tensors.size(), 6u);
  EXPECT_EQ(file.meta("epoch"), "3");
  EXPECT_EQ(file.meta("rule"), "a \"quoted\" one");
  EXPECT_THAT(file.tensor("U").shape, ElementsAre(2, 3));
  EXPECT_THAT(file.tensor("scalar").shape, ElementsAre());
  EXPECT_TRUE(file.tensor("none").bytes.empty());
  std::vector<float> floats(6);
  std::vector<std::int64_t> longs(3);
  std::vector<double> scalar(1);
  std::vector<std::int32_t> ids(2);
  std::vector<std::uint8_t> bits(3);
  file.copy_to("U", std::span(floats));
  file.copy_to("steps", std::span(longs));
  file.copy_to("scalar", std::span(scalar));
  file.copy_to("ids", std::span(ids));
  file.copy_to("flags", std::span(bits));
  EXPECT_EQ(floats, floats_);
  EXPECT_EQ(longs, longs_);
  EXPECT_EQ(scalar, doubles);
  EXPECT_EQ(ids, ints);
  EXPECT_EQ(bits, flags);
}

// Byte for byte, so that a mistake made alike in writer and reader shows.
TEST_F(SafetensorsTest, FollowsTheFormat) {
  const std::vector<float> values{1.0F};
  write_safetensors(path_, std::vector{tensor_view<float>("w", {1}, values)}, {{"k", "v"}});
  // Python: zlib.crc32(b'''{"__metadata__":{"k":"v"},"w":{"data_offsets":[0,4],"dtype":"F32","shape":[1]}}'''
  // + b"\0\0\x80\x3f")
  const std::string header =
      R"({"__metadata__":{"crc32":"8a6f85d4","k":"v"},"w":{"data_offsets":[0,4],"dtype":"F32","shape":[1]}})";
  const std::string padding((8 - header.size() % 8) % 8, ' ');
  std::string expected(8, '\0');
  expected[0] = static_cast<char>(header.size() + padding.size());
  EXPECT_EQ(read_all(path_), expected + header + padding + std::string("\x00\x00\x80\x3f", 4));
}

TEST_F(SafetensorsTest, EveryTensorIsAlignedToItsType) {
  const std::vector<std::uint8_t> odd{1, 2, 3};
  write_safetensors(path_,
                    std::vector{tensor_view<std::uint8_t>("a", {3}, odd),
                                tensor_view<float>("b", {1}, std::span(floats_).first(1)),
                                tensor_view<std::int64_t>("c", {3}, longs_)},
                    {});
  const std::string file = read_all(path_);
  EXPECT_EQ(static_cast<unsigned char>(file[0]) % 8, 0);
  EXPECT_THAT(file, HasSubstr(R"("c":{"data_offsets":[0,24])"));
  EXPECT_THAT(file, HasSubstr(R"("b":{"data_offsets":[24,28])"));
  EXPECT_THAT(file, HasSubstr(R"("a":{"data_offsets":[28,31])"));
}

TEST_F(SafetensorsTest, WritingAnInconsistentTensorIsAnError) {
  const auto view = tensor_view<float>("U", {2, 2}, floats_);
  EXPECT_THAT(error_of([&] { write_safetensors(path_, std::vector{view}, {}); }),
              HasSubstr("tensor 'U' has 24 bytes"));
  const auto good = tensor_view<float>("U", {6}, floats_);
  EXPECT_THAT(error_of([&] {
                write_safetensors(path_, std::vector{good, good}, {});
              }),
              HasSubstr("two tensors are named 'U'"));
  EXPECT_THAT(error_of([&] {
                write_safetensors(path_, std::vector{good}, {{"crc32", "1"}});
              }),
              HasSubstr("the file's own"));
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(SafetensorsTest, TensorsMayComeInPieces) {
  const std::vector<std::int32_t> ints{-7, 8};
  write_safetensors(
      path_,
      std::vector{tensor_view<std::int32_t>("ids", {2}, ints), tensor_view<float>("U", {2, 3}, floats_)},
      {{"k", "v"}});
  const std::string whole = read_all(path_);
  const auto in_pieces = [](std::span<const std::byte> bytes, std::size_t leave = 0) {
    return [bytes, leave](const TensorSource::Take& take) {
      for (std::size_t k = 0; k + leave < bytes.size(); ++k) take(bytes.subspan(k, 1));
    };
  };
  const auto floats = std::as_bytes(std::span(floats_));
  const std::vector<TensorSource> sources = {
      {"ids", DType::i32, {2}, in_pieces(std::as_bytes(std::span(ints)))},
      {"U", DType::f32, {2, 3}, in_pieces(floats)}};
  write_safetensors(path_, sources, {{"k", "v"}});
  EXPECT_EQ(read_all(path_), whole);
  EXPECT_THAT(
      error_of([&] {
        write_safetensors(path_, std::vector{TensorSource{"U", DType::f32, {6}, in_pieces(floats, 1)}}, {});
      }),
      HasSubstr("tensor 'U' has 23 bytes"));
  EXPECT_EQ(read_all(path_), whole);
}

TEST_F(SafetensorsTest, ARankReadsItsOwnRows) {
  // Rows that are numbered, more than are read at once.
  constexpr Id kRows = 100'001;
  std::vector<float> table;
  std::vector<std::int32_t> steps;
  for (Id row = 0; row < kRows; ++row) {
    table.insert(table.end(), {static_cast<float>(row), -1.0F, 0.5F});
    steps.push_back(2 * row);
  }
  write_safetensors(path_,
                    std::vector{tensor_view<float>("U", {kRows, 3}, table),
                                tensor_view<std::int32_t>("steps", {kRows}, steps),
                                tensor_view<float>("theta", {6}, floats_)},
                    {});
  for (const int ranks : {1, 2, 3, 7}) {
    std::int64_t read = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      const RowShard shard{rank, ranks};
      const SafetensorsFile file = read_safetensors(
          path_, {}, [&](const std::string& name) { return name == "theta" ? RowShard() : shard; });
      const Id rows = shard.rows_of(kRows);
      EXPECT_THAT(file.tensor("U").shape, ElementsAre(rows, 3));
      std::vector<float> own(static_cast<std::size_t>(rows) * 3), theta(6);
      std::vector<std::int32_t> own_steps(static_cast<std::size_t>(rows));
      file.copy_to("U", std::span(own));
      file.copy_to("steps", std::span(own_steps));
      file.copy_to("theta", std::span(theta));
      EXPECT_EQ(theta, floats_);
      for (Id place = 0; place < rows; ++place) {
        ASSERT_EQ(own[static_cast<std::size_t>(place) * 3], static_cast<float>(shard.id_at(place)));
        ASSERT_EQ(own_steps[static_cast<std::size_t>(place)], 2 * shard.id_at(place));
      }
      read += rows - 1;
    }
    EXPECT_EQ(read, kRows - 1);
  }
  std::string bytes = read_all(path_);
  bytes[bytes.size() - 7'000] ^= 1;
  std::ofstream(path_, std::ios::binary) << bytes;
  EXPECT_THAT(error_of([&] {
                read_safetensors(path_, {}, [](const std::string&) { return RowShard{1, 2}; });
              }),
              HasSubstr("its checksum is"));
}

TEST_F(SafetensorsTest, CopyChecksTypeAndSize) {
  write_safetensors(path_, std::vector{tensor_view<float>("U", {2, 3}, floats_)}, {});
  const SafetensorsFile file = read_safetensors(path_);
  std::vector<float> five(5);
  std::vector<std::int32_t> six(6);
  EXPECT_THAT(error_of([&] { file.copy_to("U", std::span(five)); }),
              AllOf(HasSubstr(path_), HasSubstr("'U' is F32 [2, 3], expected 5 values of F32")));
  EXPECT_THAT(error_of([&] { file.copy_to("U", std::span(six)); }), HasSubstr("expected 6 values of I32"));
  EXPECT_THAT(error_of([&] { file.copy_to("V", std::span(five)); }), HasSubstr("no tensor 'V'"));
  EXPECT_THAT(error_of([&] { (void)file.meta("epoch"); }), HasSubstr("no metadata 'epoch'"));
}

TEST_F(SafetensorsTest, MissingFileNamesPathAndCause) {
  EXPECT_EQ(error_of([&] { read_safetensors(path_); }),
            "cannot read checkpoint '" + path_ + "': No such file or directory");
  EXPECT_THAT(error_of([&] { read_safetensors(folder_.path()); }), HasSubstr("cannot read checkpoint"));
}

TEST_F(SafetensorsTest, EveryTruncationIsAnError) {
  write_safetensors(path_, std::vector{tensor_view<float>("U", {6}, floats_)}, {{"epoch", "3"}});
  for (auto size = fs::file_size(path_); size-- > 0;) {
    fs::resize_file(path_, size);
    EXPECT_THAT(error_of([&] { read_safetensors(path_); }),
                AllOf(HasSubstr("checkpoint '" + path_ + "' is damaged"), HasSubstr("train again")))
        << size;
  }
}

TEST_F(SafetensorsTest, EveryAlteredBitIsAnError) {
  write_safetensors(path_, std::vector{tensor_view<float>("U", {6}, floats_)}, {{"epoch", "3"}});
  const std::string good = read_all(path_);
  // But for what names the checksum, as a file that has none is taken as it is, and for the padding.
  const std::size_t key = good.find("__metadata__"), key_end = good.find("crc32") + 5;
  const std::size_t padding = good.find("}}") + 2, tensor = good.size() - 24;
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    const std::size_t byte = bit / 8;
    if ((byte >= key && byte < key_end) || (byte >= padding && byte < tensor)) continue;
    std::string bad = good;
    bad[byte] = static_cast<char>(bad[byte] ^ (1 << bit % 8));
    std::ofstream(path_, std::ios::binary) << bad;
    EXPECT_THAT(error_of([&] { read_safetensors(path_); }), HasSubstr("is damaged")) << bit;
  }
}

TEST_F(SafetensorsTest, DamagedHeadersAreErrors) {
  EXPECT_EQ(error_for(R"("U":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})"), "no error");
  EXPECT_THAT(error_for(R"("U":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})", "abcdx"),
              HasSubstr("need 4 bytes, it holds 5"));
  EXPECT_THAT(error_for(R"("U":{"dtype":"F16","shape":[2],"data_offsets":[0,4]})"),
              HasSubstr("unsupported type F16"));
  EXPECT_THAT(error_for(R"("U":{"dtype":"F32","shape":[2],"data_offsets":[0,4]})"),
              HasSubstr("does not fit"));
  EXPECT_THAT(error_for(R"("U":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"),
              HasSubstr("does not fit"));
  EXPECT_THAT(error_for(R"("U":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]})"),
              HasSubstr("does not fit"));
  EXPECT_THAT(error_for(R"("U":{"dtype":"F32","shape":[1],"data_offsets":[4,0]})"),
              HasSubstr("does not fit"));
  EXPECT_THAT(error_for(R"("U":{"dtype":"F32","shape":[1],"data_offsets":[4,8]})"),
              HasSubstr("starts at 4, not 0"));
  EXPECT_THAT(error_for(R"("U":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                        R"("V":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})"),
              HasSubstr("starts at 0, not 4"));
  EXPECT_THAT(error_for(R"("U":{"dtype":"F32","shape":[1],"data_offsets":[0]})"), HasSubstr("1 offsets"));
  EXPECT_THAT(error_for(R"("U":{"dtype":"F32","shape":["x"],"data_offsets":[0,4]})"),
              HasSubstr("is damaged"));
  EXPECT_THAT(error_for(R"("U":{"shape":[1],"data_offsets":[0,4]})"), HasSubstr("'dtype' not found"));
  EXPECT_THAT(error_for(R"("U":3)"), HasSubstr("is damaged"));
  EXPECT_THAT(error_for(R"("U":)"), HasSubstr("not a JSON object"));
  EXPECT_THAT(error_for(R"("U":)" + std::string(100'000, '[') + std::string(100'000, ']')),
              HasSubstr("nested too deep"));
}

TEST_F(SafetensorsTest, AbsurdHeaderLengthIsNotAllocated) {
  std::ofstream(path_) << std::string(16, '\xff');
  EXPECT_THAT(error_of([&] { read_safetensors(path_); }), HasSubstr("claims 18446744073709551615 bytes"));
}

TEST_F(SafetensorsTest, AProcessKilledWhileWritingLeavesTheOldCheckpoint) {
  write_safetensors(path_, std::vector{tensor_view<float>("U", {6}, floats_)}, {{"epoch", "1"}});
  const pid_t child = ::fork();
  if (child == 0) {
    // Past this file size the kernel kills the child inside write().
    const rlimit size{100'000, 100'000}, no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    setrlimit(RLIMIT_FSIZE, &size);
    std::signal(SIGXFSZ, SIG_DFL);
    const std::vector<float> large(1'000'000, 2.0F);
    write_safetensors(path_, std::vector{tensor_view<float>("U", {1'000'000}, large)}, {{"epoch", "2"}});
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(folder_.entries(), 2) << "the child did not die while writing";

  const SafetensorsFile file = read_safetensors(path_);
  EXPECT_EQ(file.meta("epoch"), "1");
  std::vector<float> values(6);
  file.copy_to("U", std::span(values));
  EXPECT_EQ(values, floats_);
}

}  // namespace
}  // namespace sllmr
