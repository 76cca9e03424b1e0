# Installs BUILD into a folder of its own, builds the example against it and runs both programs:
#   cmake -DBUILD=build/cpu -DSOURCE=. -DCOMPILER=g++ -P tests/install/check.cmake
set(_work ${BUILD}/install_check)
set(_prefix ${_work}/prefix)
file(REMOVE_RECURSE ${_work})
file(MAKE_DIRECTORY ${_work})
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE _status OUTPUT_VARIABLE _out ERROR_VARIABLE _err)
  if(NOT _status EQUAL 0)
    message(FATAL_ERROR "${ARGV} ended with ${_status}:\n${_out}${_err}")
  endif()
  set(out "${_out}" PARENT_SCOPE)
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${_prefix})
run(${_prefix}/bin/sllmr --version)
if(NOT out MATCHES "^sllmr [0-9]+\\.[0-9]+\\.[0-9]+ ")
  message(FATAL_ERROR "--version says: ${out}")
endif()
set(_lines "user_id:token\titem_id:token\ttimestamp:float\n")
foreach(_user RANGE 1 30)
  foreach(_step RANGE 1 6)
    math(EXPR _item "(${_user} * 7 + ${_step} * 5) % 40")
    string(APPEND _lines "u${_user}\ti${_item}\t${_step}\n")
  endforeach()
endforeach()
file(WRITE ${_work}/small.inter "${_lines}")
run(${CMAKE_COMMAND} -S ${SOURCE}/tests/install -B ${_work}/build -DCMAKE_PREFIX_PATH=${_prefix} -DCMAKE_CXX_COMPILER=${COMPILER})
run(${CMAKE_COMMAND} --build ${_work}/build)
# With a gate that is compiled against what is installed.
file(WRITE ${_work}/cold.h [=[
#include "kernels/gates/rule.h"
namespace sllmr::gates {
struct MyCold : GateRule {
  static constexpr std::string_view name = "my_cold", summary = "believes the LLM of cold users";
  template <class Theta>
  SLLMR_HD static auto alpha(const GateSignals& z, const Theta&) {
    return z.cold;
  }
};
}
]=])
set(ENV{XDG_CACHE_HOME} ${_work}/cache)
set(ENV{SLLMR_SOURCES} ${_prefix}/include/sllmr)
run(${_work}/build/example ${_work}/small ${_work}/run ${_work}/cold.h)
if(NOT out MATCHES "auc 0\\.")
  message(FATAL_ERROR "the example says: ${out}")
endif()
set(ENV{SLLMR_SOURCES} "")
run(${_prefix}/bin/sllmr gates check ${_work}/cold.h)
file(REMOVE_RECURSE ${_work})
