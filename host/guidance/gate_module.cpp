#include "host/guidance/gate_module.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <regex>
#include <set>
#include <utility>

#include "host/base/atomic_file.h"
#include "host/base/say.h"
#include "host/base/stopwatch.h"
#include "host/base/text_file.h"
#include "host/guidance/registry.h"
#include "kernels/exec/error.h"
#include "kernels/exec/fnv.h"
#include "kernels/exec/interrupt.h"
#include "kernels/gates/module/abi.h"

namespace sllmr {

namespace {

namespace fs = std::filesystem;

/// What a header may define, and where.
struct Kind {
  const char* base;  // of the struct
  const char* space;
  const char* list;  // macro of library.h
};
constexpr Kind kKinds[] = {{"GateRule", "sllmr::gates", "SLLMR_MORE_RULES"},
                           {"GateObjective", "sllmr::objectives", "SLLMR_MORE_OBJECTIVES"},
                           {"GatePenalty", "sllmr::penalties", "SLLMR_MORE_PENALTIES"}};

/// A user's header.
struct Header {
  std::string path;  // absolute
  const Kind* kind;
  std::string type;  // with its namespace
};

Header read_header(const std::string& word) {
  const std::string text = read_text_file(word, "gate");
  static const std::regex part(
      R"(struct\s+(\w+)\s*(?:final\s*)?:\s*(?:public\s+)?(?:sllmr::)?(Gate(?:Rule|Objective|Penalty))\b)");
  std::vector<std::pair<std::string, std::string>> found;
  for (std::sregex_iterator at(text.begin(), text.end(), part), end; at != end; ++at)
    found.emplace_back((*at)[1], (*at)[2]);
  require(found.size() == 1,
          fmt::format("{}: {} parts of a gate are defined here, of which there must be one: `struct Name : "
                      "GateRule`, or GateObjective or GatePenalty, as in kernels/gates",
                      word, found.size()));
  const Kind* kind =
      std::ranges::find_if(kKinds, [&](const Kind& each) { return found[0].second == each.base; });
  require(text.find(fmt::format("namespace {}", kind->space)) != std::string::npos,
          fmt::format("{}: a {} is defined in `namespace {} {{ .. }}`", word, kind->base, kind->space));
  return {fs::absolute(word).string(), kind, fmt::format("{}::{}", kind->space, found[0].first)};
}

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

std::uint64_t hash_of_files(const std::vector<std::string>& files) {
  if (files.empty()) return 0;
  Fnv<std::uint64_t> hash;
  std::set<std::string> seen;
  for (const std::string& file : files) add_file(file, seen, hash);
  return hash.value();
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

/// Which kernels a module has.
struct ModuleKernels {
  bool any = true;  // else it is for a trial alone
  int fused = -1;   // of matrix factorisation: 1 the fused step, 0 the exact one, -1 none
  int width = 0;    // of that, as the optimiser
  std::string optimizer = {};
};

class Compiler {
 public:
  Compiler(std::vector<std::string> files, ModuleKernels kernels, bool cuda)
      : files_(std::move(files)), kernels_(std::move(kernels)), cuda_(cuda) {
    for (const std::string& file : files_) headers_.push_back(read_header(file));
  }

  GateModule load() {
    GateModule module;
    open<void(GateModule*)>(library("cpu", compiler(), SLLMR_GATE_FLAGS), "sllmr_gate_module")(&module);
    if (cuda_) {
      GateKernels kernels;
      open<void(GateKernels*)>(library("cuda", nvcc(), SLLMR_GATE_CUDA_FLAGS),
                               "sllmr_gate_kernels")(&kernels);
      module.cuda = kernels;
    }
    return module;
  }
  double seconds() const { return seconds_; }

 private:
  static std::string compiler() {
    const char* told = std::getenv("CXX");
    return told != nullptr && *told != '\0' ? told : SLLMR_GATE_COMPILER;
  }
  static std::string nvcc() { return SLLMR_GATE_NVCC; }

  std::string source() const {
    std::string text;
    for (const Header& header : headers_) text += fmt::format("#include \"{}\"\n", header.path);
    std::vector<std::string> all;
    for (const Kind& kind : kKinds) {
      text += fmt::format("#define {}", kind.list);
      for (const Header& header : headers_) {
        if (header.kind == &kind) text += fmt::format(" , {}", header.type);
      }
      text += '\n';
    }
    for (const Header& header : headers_) all.push_back(header.type);
    return text + fmt::format("#define SLLMR_OWN_PARTS {}\n", fmt::join(all, ", "));
  }
  std::string main_source(const std::string& parts) const {
    std::string text = fmt::format("#define SLLMR_GATE_MODULE \"{}\"\n#define SLLMR_GATE_KERNELS {}\n", parts,
                                   kernels_.any ? 1 : 0);
    if (kernels_.fused >= 0) {
      text += fmt::format(
          "#define SLLMR_GATE_FUSED {}\n#define SLLMR_GATE_WIDTH {}\n#define SLLMR_GATE_OPTIMIZER {}\n",
          kernels_.fused, kernels_.width, kernels_.optimizer);
    }
    return text + "#include \"kernels/gates/module/library.h\"\n";
  }

  /// The library for a device, compiled where it is not kept from before.
  std::string library(const char* device, const std::string& command, const std::string& flags) {
    struct ::stat program {};
    ::stat("/proc/self/exe", &program);
    Fnv<std::uint64_t> hash;
    hash.add_number(hash_of_files(files_), 8);
    for (const std::string& each : {source(), main_source(""), command, flags, sources().string()})
      hash.add_token(each);
    for (const auto number : {program.st_size, program.st_mtim.tv_sec, program.st_mtim.tv_nsec})
      hash.add_number(static_cast<std::uint64_t>(number), 8);
    const std::string stem = (cache_folder() / fmt::format("{:016x}.{}", hash.value(), device)).string();
    const std::string library = stem + ".so";
    if (!fs::exists(library)) compile(stem, library, command, flags);
    return library;
  }

  void compile(const std::string& stem, const std::string& library, const std::string& command,
               const std::string& flags) {
    const Stopwatch watch;
    const std::string parts = stem + ".parts.h", log = stem + ".log", main = stem + ".cpp";
    const auto write = [](const std::string& path, const std::string& text) {
      AtomicFile file(path);
      file.stream() << text;
      file.commit();
    };
    write(parts, source());
    write(main, main_source(parts));
    const std::string made = fmt::format("{}.{}", library, ::getpid());
    const std::string line = fmt::format("{} {} -I{} {} -o {} >{} 2>&1", quoted(command), flags,
                                         quoted(sources().string()), quoted(main), quoted(made), quoted(log));
    say(fmt::format("compiling {}", fmt::join(files_, ", ")));
    const int status = std::system(line.c_str());
    seconds_ += watch.seconds();
    if (status != 0) {
      std::error_code ignored;
      fs::remove(made, ignored);
      throw_if_interrupted();
      if (WIFSIGNALED(status) || WEXITSTATUS(status) >= 126) {
        throw Error(
            fmt::format("{} needs a C++ compiler, and '{}' cannot be started: install one (Debian: apt-get "
                        "install g++), or set CXX",
                        fmt::join(files_, ", "), command));
      }
      throw Error(fmt::format("{} does not compile:\n{}\n(all of it: {})", fmt::join(files_, ", "),
                              first_errors(read_text_file(log, "the compiler's output")), log));
    }
    fs::rename(made, library);
  }

  /// The lines of a compiler that matter most.
  static std::string first_errors(const std::string& log) {
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
  static Function* open(const std::string& library, const char* name) {
    void* opened = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (opened == nullptr)
      throw Error(fmt::format("cannot load a compiled gate: {}; delete it and try again", dlerror()));
    const auto abi = reinterpret_cast<std::uint64_t (*)()>(dlsym(opened, "sllmr_gate_abi"));
    require(abi != nullptr && abi() == kGateAbi,
            "the sources that a gate was compiled with are not those of this program: build it again");
    return reinterpret_cast<Function*>(dlsym(opened, name));
  }

  std::vector<std::string> files_;
  std::vector<Header> headers_;
  ModuleKernels kernels_;
  bool cuda_;
  double seconds_ = 0;
};

/// Throws Error for a part that failed.
void require_sound(const std::vector<std::string>& files, const std::vector<GateTrial>& trials) {
  for (const GateTrial& trial : trials) {
    require(trial.fault.empty(), fmt::format("{}: {}: {}; `sllmr gates check FILE` tries it out by itself",
                                             fmt::join(files, ", "), trial.part, trial.fault));
  }
}

/// Lists of a module, each with the module's number in its parts.
struct Lists {
  std::vector<GatePart> rules, objectives, penalties;
};

struct Loaded {
  int number;
  Lists lists;
};

const Loaded& loaded(const std::vector<std::string>& files, const ModuleKernels& kernels, bool cuda) {
  static std::mutex mutex;
  static std::map<std::string, Loaded> all;
  const std::lock_guard lock(mutex);
  const std::string key = fmt::format("{:016x} {} {} {} {} {}", hash_of_files(files), fmt::join(files, " "),
                                      kernels.fused, kernels.width, kernels.optimizer, cuda);
  if (const auto found = all.find(key); found != all.end()) return found->second;
  Compiler compiler(files, kernels, cuda);
  const GateModule module = compiler.load();
  require_sound(files, module.try_out());
  Loaded out{add_gate_module(module), {module.rules(), module.objectives(), module.penalties()}};
  for (auto* parts : {&out.lists.rules, &out.lists.objectives, &out.lists.penalties}) {
    for (GatePart& part : *parts) part.module = out.number;
  }
  return all.emplace(key, std::move(out)).first->second;
}

const Loaded* loaded_for(const Config& config) {
  const std::vector<std::string> files = gate_files(config);
  if (files.empty()) return nullptr;
  ModuleKernels kernels;
  if (config.model.name == "mf" && config.train.loss == BaseLoss::bpr) {
    kernels = {true, config.train.mode == TrainConfig::Mode::fused ? 1 : 0, config.model.width,
               std::string(info_of(config.train.optimizer).name)};
    for_mf_width(kernels.width, [](auto) {});
  }
  const bool cuda = config.device == Config::Device::cuda ||
                    (config.device == Config::Device::automatic && cuda_available());
  return &loaded(files, kernels, cuda);
}

}  // namespace

bool is_gate_file(std::string_view word) {
  return word.ends_with(".h") || word.ends_with(".cuh") || word.ends_with(".hpp");
}

std::vector<std::string> gate_files(const Config& config) {
  std::vector<std::string> files;
  const GuidanceInfo* guidance = guidance_of(config.method);
  if (guidance == nullptr || !guidance->reads_gate) return files;
  for (const std::string* word : {&config.gate.rule, &config.gate.objective, &config.llm.penalty}) {
    if (is_gate_file(*word) && std::ranges::find(files, *word) == files.end()) files.push_back(*word);
  }
  return files;
}

std::uint64_t gate_files_hash(const Config& config) {
  return hash_of_files(gate_files(config));
}

int gate_module_of(const Config& config) {
  const Loaded* module = loaded_for(config);
  return module != nullptr ? module->number : 0;
}

GateParts gate_parts_of(const Config& config) {
  const Loaded* module = loaded_for(config);
  if (module == nullptr) return {0, &gate_rules(), &gate_objectives(), &gate_penalties()};
  return {module->number, &module->lists.rules, &module->lists.objectives, &module->lists.penalties};
}

const GatePart* find_gate_part(const Config& config, const std::vector<GatePart>& parts,
                               const std::string& word) {
  if (!is_gate_file(word)) return find_gate_part(parts, word);
  const GateParts own = gate_parts_of(config);
  const auto kind = &parts == own.rules ? 0 : &parts == own.objectives ? 1 : 2;
  require(read_header(word).kind == &kKinds[kind],
          fmt::format("{} defines a {}, and a {} is asked for", word, read_header(word).kind->base,
                      kKinds[kind].base));
  return &parts.back();  // the headers' parts come last, and each list has one at most
}

GateCheck check_gate_file(const std::string& path) {
  Compiler compiler({path}, {.any = false}, false);
  const GateModule module = compiler.load();
  return {module.try_out(), compiler.seconds()};
}

}  // namespace sllmr
