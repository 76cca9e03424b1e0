#include "host/guidance/gate_compiler.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <link.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <initializer_list>
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

fs::path cache_folder() {
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  const bool has_cache = cache != nullptr && *cache != '\0', has_home = home != nullptr && *home != '\0';
  require(
      has_cache || has_home,
      "compiled gates are kept in $XDG_CACHE_HOME or ~/.cache, and neither XDG_CACHE_HOME nor HOME is set");
  const fs::path folder =
      fs::absolute(has_cache ? fs::path(cache) : fs::path(home) / ".cache") / "sllmr/gates";
  std::error_code error;
  fs::create_directories(folder, error);
  require(!error, fmt::format("cannot make '{}', where compiled gates are kept: {}; set XDG_CACHE_HOME to a "
                              "folder that can be written",
                              folder.string(), error.message()));
  return folder;
}

/// The shared library that this code is part of, as a Python module is; empty in a program.
fs::path own_library() {
  static const char anchor = 0;
  Dl_info info{};
  link_map* own = nullptr;
  const int found = ::dladdr1(&anchor, &info, reinterpret_cast<void**>(&own), RTLD_DL_LINKMAP);
  return found != 0 && own != nullptr ? fs::path(own->l_name) : fs::path();
}

fs::path own_file() {
  const fs::path library = own_library();
  return library.empty() ? fs::read_symlink("/proc/self/exe") : library;
}

/// Where the sources of this program's kernels lie: a copy made when it was built, or what was installed with
/// it, beside a Python module or in the place of headers.
fs::path sources() {
  const auto has = [](const fs::path& place) { return fs::exists(place / "kernels/gates/module/library.h"); };
  const fs::path here = own_file().parent_path();
  std::vector<std::string> places;
  for (const fs::path& from : {here / "..", here})
    places.push_back((from / SLLMR_GATE_INSTALLED).lexically_normal().string());
  places.emplace_back(SLLMR_GATE_SOURCES);
  if (const char* told = std::getenv("SLLMR_SOURCES"); told != nullptr && *told != '\0') places = {told};
  for (const std::string& place : places) {
    if (has(place)) return place;
  }
  throw Error(
      fmt::format("a gate from a header needs the sources of this program, which are not in {}: set "
                  "SLLMR_SOURCES to their folder",
                  fmt::join(places, ", ")));
}

/// For a shell.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// How the shell is to begin the compiler's line: with the compiler of this program, whose flags these are,
/// or another.
std::string compiler_of(bool cuda) {
  if (cuda) return quoted(SLLMR_GATE_NVCC) + " " + SLLMR_GATE_CUDA_FLAGS;
  const char* told = std::getenv("SLLMR_CXX");
  if (told != nullptr && *told != '\0') return std::string(told) + " " + SLLMR_GATE_FLAGS;
  return (fs::exists(SLLMR_GATE_COMPILER) ? quoted(SLLMR_GATE_COMPILER) : std::string("g++")) + " " +
         SLLMR_GATE_FLAGS;
}

/// Runs a line of the shell. Returns its status as waitpid() tells it. A request to stop ends all that it has
/// started; throws Interrupted then.
int run_in_shell(const std::string& line) {
  const InterruptGuard guard;
  posix_spawnattr_t own_group;
  ::posix_spawnattr_init(&own_group);
  ::posix_spawnattr_setflags(&own_group, POSIX_SPAWN_SETPGROUP);
  ::posix_spawnattr_setpgroup(&own_group, 0);
  std::string shell = "sh", flag = "-c", text = line;
  char* const words[] = {shell.data(), flag.data(), text.data(), nullptr};
  ::pid_t child = 0;
  const int error = ::posix_spawn(&child, "/bin/sh", nullptr, &own_group, words, environ);
  ::posix_spawnattr_destroy(&own_group);
  require(error == 0, fmt::format("cannot start /bin/sh: {}", std::strerror(error)));
  int status = 0;
  ::pid_t ended = 0;
  while ((ended = ::waitpid(child, &status, WNOHANG)) == 0) {
    if (interrupted()) {
      ::kill(-child, SIGKILL);
      ::waitpid(child, &status, 0);
      throw Interrupted();
    }
    ::poll(nullptr, 0, 20);
  }
  require(ended == child,
          "nobody can tell how the compiler ended, as this process ignores SIGCHLD: let it be");
  return status;
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

/// The library, or null with the reason in dlerror().
void* open(const std::string& library) {
  // It calls functions of this code, which in a Python module are the module's alone until now.
  if (const fs::path own = own_library(); !own.empty())
    ::dlopen(own.c_str(), RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
  return dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
}

template <class Function>
Function* function_of(void* opened, const char* name) {
  const auto abi = reinterpret_cast<std::uint64_t (*)()>(dlsym(opened, "sllmr_gate_abi"));
  require(abi != nullptr && abi() == kGateAbi,
          "the sources that a gate was compiled with are not those of this program: build it again");
  return reinterpret_cast<Function*>(dlsym(opened, name));
}

/// A name that no other process has.
std::string unique_name() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return fmt::format("{}.{}", host.data(), ::getpid());
}

/// Libraries and logs that nobody has used for a month leave the cache.
void remove_unused() {
  constexpr std::chrono::hours kMonth{24 * 30};
  std::error_code ignored;
  for (const fs::directory_entry& file : fs::directory_iterator(cache_folder(), ignored)) {
    std::error_code gone;
    const fs::file_time_type used = file.last_write_time(gone);
    if (!gone && fs::file_time_type::clock::now() - used > kMonth) fs::remove(file, ignored);
  }
}

}  // namespace

GateCompiler::GateCompiler(std::vector<std::string> files, ModuleKernels kernels, bool cuda)
    : files_(std::move(files)), kernels_(std::move(kernels)), cuda_(cuda) {
  for (const std::string& file : files_) headers_.push_back(read_gate_header(file));
}

GateModule GateCompiler::load() {
  GateModule module;
  function_of<void(GateModule*)>(library(false), "sllmr_gate_module")(&module);
  if (cuda_) function_of<void(GateKernels*)>(library(true), "sllmr_gate_kernels")(&module.cuda);
  return module;
}

std::string GateCompiler::parts_source() const {
  std::string text;
  for (const GateHeader& header : headers_) text += fmt::format("#include \"{}\"\n", header.path);
  text += "#include \"kernels/gates/module/part_checks.h\"\n";
  for (const GateHeader& header : headers_)
    text += fmt::format("static_assert(sllmr::check_gate_part<{}>());\n", header.type);
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

void* GateCompiler::library(bool cuda) {
  struct ::stat program {};
  ::stat(own_file().c_str(), &program);
  // A header that is written anew while it is compiled is compiled again.
  for (;;) {
    const std::uint64_t headers = hash_of_gate_headers(files_);
    Fnv<std::uint64_t> hash;
    hash.add_number(headers, 8);
    for (const std::string& each : {parts_source(), source("", cuda), compiler_of(cuda), sources().string()})
      hash.add_token(each);
    // The sources are those of the program, which is built again when they change.
    for (const auto number : {program.st_size, program.st_mtim.tv_sec, program.st_mtim.tv_nsec})
      hash.add_number(static_cast<std::uint64_t>(number), 8);
    const std::string stem =
        (cache_folder() / fmt::format("{:016x}.{}", hash.value(), cuda ? "cuda" : "cpu")).string();
    // One that cannot be loaded was damaged since it was kept.
    if (void* kept = fs::exists(stem + ".so") ? open(stem + ".so") : nullptr; kept != nullptr) {
      std::error_code ignored;  // somebody else's cache, it may be
      fs::last_write_time(stem + ".so", fs::file_time_type::clock::now(), ignored);
      return kept;
    }
    const std::string made = compile(stem, cuda);
    if (hash_of_gate_headers(files_) != headers) {
      fs::remove(made);
      continue;
    }
    void* opened = open(made);
    if (opened == nullptr) {
      const std::string why = dlerror();
      fs::remove(made);
      throw Error(fmt::format("{} compiles, but cannot be loaded: {}; define all that it declares",
                              fmt::join(files_, ", "), why));
    }
    fs::rename(made, stem + ".so");
    remove_unused();
    return opened;
  }
}

std::string GateCompiler::compile(const std::string& stem, bool cuda) {
  const Stopwatch watch;
  const std::string unique = fmt::format("{}.{}", stem, unique_name()), made = unique + ".so",
                    log = unique + ".log", parts = unique + ".parts.h", main = unique + ".cpp";
  const auto write = [](const std::string& path, const std::string& text) {
    AtomicFile file(path);
    file.stream() << text;
    file.commit();
  };
  const auto remove = [](std::initializer_list<std::string> paths) {
    std::error_code ignored;
    for (const std::string& path : paths) fs::remove(path, ignored);
  };
  write(parts, parts_source());
  write(main, source(parts, cuda));
  const std::string files = fmt::format("{}", fmt::join(files_, ", "));
  const std::string line = fmt::format("LC_ALL=C {} -I{} {} -o {} >{} 2>&1", compiler_of(cuda),
                                       quoted(sources().string()), quoted(main), quoted(made), quoted(log));
  say("compiling " + files);
  int status = 0;
  try {
    status = run_in_shell(line);
  } catch (const Interrupted&) {
    remove({parts, main, made, log});
    throw;
  }
  seconds_ += watch.seconds();
  remove({parts, main});
  if (status == 0) {
    remove({log});
    return made;
  }
  remove({made});
  if (WIFEXITED(status) && WEXITSTATUS(status) >= 126 && WEXITSTATUS(status) <= 127) {
    remove({log});
    throw Error(fmt::format(
        "{} needs the C++ compiler of this program, which cannot be started: {}\ninstall it (Debian: "
        "apt-get install g++), or name another in SLLMR_CXX",
        files, compiler_of(cuda)));
  }
  const std::string said = fs::exists(log) ? first_errors(read_text_file(log, "the compiler's output")) : "";
  throw Error(fmt::format("{} does not compile:\n{}\n(all of it: {})", files, said, log));
}

}  // namespace sllmr
