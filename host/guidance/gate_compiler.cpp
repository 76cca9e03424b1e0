#include "host/guidance/gate_compiler.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <set>
#include <utility>

#include "host/base/atomic_file.h"
#include "host/base/say.h"
#include "host/base/stopwatch.h"
#include "host/base/text_file.h"
#include "kernels/exec/error.h"
#include "kernels/exec/fnv.h"
#include "kernels/exec/interrupt.h"
#include "kernels/gates/module/abi.h"

namespace sllmr {

namespace {

namespace fs = std::filesystem;

/// Adds a file, and what it includes from beside it, to the hash.
void add_file(const fs::path& path, std::set<std::string>& seen, Fnv<std::uint64_t>& hash) {
  if (!seen.insert(fs::absolute(path).string()).second) return;
  const std::string text = read_text_file(path.string(), "gate");
  hash.add_token(text);
  static const std::regex include(R"re(#\s*include\s*"([^"]+)")re");
  for (std::sregex_iterator at(text.begin(), text.end(), include), end; at != end; ++at) {
    const fs::path beside = path.parent_path() / (*at)[1].str();
    if (fs::is_regular_file(beside)) add_file(beside, seen, hash);
  }
}

fs::path cache_folder() {
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  const fs::path base = cache != nullptr && *cache != '\0' ? fs::path(cache)
                        : home != nullptr && *home != '\0' ? fs::path(home) / ".cache"
                                                           : fs::temp_directory_path();
  const fs::path folder = base / "sllmr/gates";
  std::error_code error;
  fs::create_directories(folder, error);
  require(!error, fmt::format("cannot make '{}', where compiled gates are kept: {}; set XDG_CACHE_HOME to a "
                              "folder that can be written",
                              folder.string(), error.message()));
  return folder;
}

/// Where this program's sources lie: those it was built from, or those installed with it.
fs::path sources() {
  std::vector<fs::path> places;
  if (const char* told = std::getenv("SLLMR_SOURCES"); told != nullptr) places.emplace_back(told);
  const fs::path program = fs::read_symlink("/proc/self/exe").parent_path();
  places.emplace_back(program / ".." / SLLMR_GATE_INSTALLED);
  places.emplace_back(SLLMR_GATE_SOURCES);
  for (const fs::path& place : places) {
    if (fs::exists(place / "kernels/gates/module/library.h")) return place;
  }
  std::vector<std::string> names;
  for (const fs::path& place : places) names.push_back(place.lexically_normal().string());
  throw Error(
      fmt::format("a gate from a header needs the sources of this program, which are not in {}: set "
                  "SLLMR_SOURCES to their folder",
                  fmt::join(names, ", ")));
}

/// For a shell.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// How the shell is to begin the compiler's line.
std::string compiler_of(bool cuda) {
  if (cuda) return quoted(SLLMR_GATE_NVCC) + " " + SLLMR_GATE_CUDA_FLAGS;
  const char* told = std::getenv("CXX");
  const bool is_told = told != nullptr && *told != '\0';
  return (is_told ? std::string(told) : quoted(SLLMR_GATE_COMPILER)) + " " + SLLMR_GATE_FLAGS;
}

/// The lines of a compiler that matter most.
std::string first_errors(const std::string& log) {
  constexpr int kMost = 12;
  std::string out;
  int lines = 0;
  bool begun = false;
  for (std::size_t at = 0; at < log.size() && lines < kMost;) {
    const std::size_t end = std::min(log.find('\n', at), log.size());
    const std::string line = log.substr(at, end - at);
    begun = begun || line.find("error") != std::string::npos;
    if (begun) {
      out += (lines == 0 ? "  " : "\n  ") + line;
      ++lines;
    }
    at = end + 1;
  }
  return out;
}

template <class Function>
Function* open(const std::string& library, const char* name) {
  void* opened = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (opened == nullptr)
    throw Error(fmt::format("cannot load a compiled gate: {}; delete it and try again", dlerror()));
  const auto abi = reinterpret_cast<std::uint64_t (*)()>(dlsym(opened, "sllmr_gate_abi"));
  require(abi != nullptr && abi() == kGateAbi,
          "the sources that a gate was compiled with are not those of this program: build it again");
  return reinterpret_cast<Function*>(dlsym(opened, name));
}

}  // namespace

GateHeader read_gate_header(const std::string& path) {
  const std::string text = read_text_file(path, "gate");
  static const std::regex part(
      R"(struct\s+(\w+)\s*(?:final\s*)?:\s*(?:public\s+)?(?:sllmr::)?(Gate(?:Rule|Objective|Penalty))\b)");
  std::vector<std::pair<std::string, std::string>> found;
  for (std::sregex_iterator at(text.begin(), text.end(), part), end; at != end; ++at)
    found.emplace_back((*at)[1], (*at)[2]);
  require(found.size() == 1,
          fmt::format("{}: {} parts of a gate are defined here, of which there must be one: `struct Name : "
                      "GateRule`, or GateObjective or GatePenalty, as in kernels/gates",
                      path, found.size()));
  const GateHeaderKind* kind = std::ranges::find_if(
      kGateHeaderKinds, [&](const GateHeaderKind& each) { return found[0].second == each.base; });
  require(text.find(fmt::format("namespace {}", kind->space)) != std::string::npos,
          fmt::format("{}: a {} is defined in `namespace {} {{ .. }}`", path, kind->base, kind->space));
  return {fs::absolute(path).string(), kind, fmt::format("{}::{}", kind->space, found[0].first)};
}

std::uint64_t hash_of_gate_headers(const std::vector<std::string>& files) {
  if (files.empty()) return 0;
  Fnv<std::uint64_t> hash;
  std::set<std::string> seen;
  for (const std::string& file : files) add_file(file, seen, hash);
  return hash.value();
}

GateCompiler::GateCompiler(std::vector<std::string> files, ModuleKernels kernels, bool cuda)
    : files_(std::move(files)), kernels_(std::move(kernels)), cuda_(cuda) {
  for (const std::string& file : files_) headers_.push_back(read_gate_header(file));
}

GateModule GateCompiler::load() {
  GateModule module;
  open<void(GateModule*)>(library(false), "sllmr_gate_module")(&module);
  if (cuda_) open<void(GateKernels*)>(library(true), "sllmr_gate_kernels")(&module.cuda);
  return module;
}

std::string GateCompiler::parts_source() const {
  std::string text;
  for (const GateHeader& header : headers_) text += fmt::format("#include \"{}\"\n", header.path);
  std::vector<std::string> all;
  for (const GateHeaderKind& kind : kGateHeaderKinds) {
    text += fmt::format("#define {}", kind.list);
    for (const GateHeader& header : headers_) {
      if (header.kind == &kind) text += fmt::format(" , {}", header.type);
    }
    text += '\n';
  }
  for (const GateHeader& header : headers_) all.push_back(header.type);
  return text + fmt::format("#define SLLMR_OWN_PARTS {}\n", fmt::join(all, ", "));
}

std::string GateCompiler::source(const std::string& parts, bool cuda) const {
  std::string text = fmt::format(
      "#define SLLMR_GATE_MODULE \"{}\"\n#define SLLMR_GATE_HOST {}\n#define SLLMR_GATE_KERNELS {}\n", parts,
      cuda ? 0 : 1, kernels_.any ? 1 : 0);
  if (kernels_.fused >= 0) {
    text += fmt::format(
        "#define SLLMR_GATE_FUSED {}\n#define SLLMR_GATE_WIDTH {}\n#define SLLMR_GATE_OPTIMIZER {}\n",
        kernels_.fused, kernels_.width, kernels_.optimizer);
  }
  return text + "#include \"kernels/gates/module/library.h\"\n";
}

std::string GateCompiler::library(bool cuda) {
  struct ::stat program {};
  ::stat("/proc/self/exe", &program);
  Fnv<std::uint64_t> hash;
  hash.add_number(hash_of_gate_headers(files_), 8);
  for (const std::string& each : {parts_source(), source("", cuda), compiler_of(cuda), sources().string()})
    hash.add_token(each);
  for (const auto number : {program.st_size, program.st_mtim.tv_sec, program.st_mtim.tv_nsec})
    hash.add_number(static_cast<std::uint64_t>(number), 8);
  const std::string stem =
      (cache_folder() / fmt::format("{:016x}.{}", hash.value(), cuda ? "cuda" : "cpu")).string();
  if (!fs::exists(stem + ".so")) compile(stem, cuda);
  return stem + ".so";
}

void GateCompiler::compile(const std::string& stem, bool cuda) {
  const Stopwatch watch;
  const std::string parts = stem + ".parts.h", log = stem + ".log", main = stem + ".cpp";
  const auto write = [](const std::string& path, const std::string& text) {
    AtomicFile file(path);
    file.stream() << text;
    file.commit();
  };
  write(parts, parts_source());
  write(main, source(parts, cuda));
  const std::string made = fmt::format("{}.so.{}", stem, ::getpid()),
                    files = fmt::format("{}", fmt::join(files_, ", "));
  const std::string line = fmt::format("{} -I{} {} -o {} >{} 2>&1", compiler_of(cuda),
                                       quoted(sources().string()), quoted(main), quoted(made), quoted(log));
  say("compiling " + files);
  const int status = std::system(line.c_str());
  seconds_ += watch.seconds();
  if (status == 0) return fs::rename(made, stem + ".so");
  std::error_code ignored;
  fs::remove(made, ignored);
  // system() keeps Ctrl-C from this process while it waits.
  if (WIFSIGNALED(status) || WEXITSTATUS(status) == 128 + SIGINT) throw Interrupted();
  if (WEXITSTATUS(status) >= 126) {
    throw Error(fmt::format(
        "{} needs a C++ compiler, and this one cannot be started: {}\ninstall one (Debian: apt-get "
        "install g++), or set CXX",
        files, compiler_of(cuda)));
  }
  throw Error(fmt::format("{} does not compile:\n{}\n(all of it: {})", files,
                          first_errors(read_text_file(log, "the compiler's output")), log));
}

}  // namespace sllmr
