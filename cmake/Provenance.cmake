# Tells a target its commit and version, as the macros SLLMR_COMMIT and SLLMR_VERSION of host/runs/commit.h. Included, it
# defines the function; as a
# script (cmake -P), which every build runs, it writes the header, and touches it only when the commit changed.
if(CMAKE_SCRIPT_MODE_FILE)
  set(_commit "$ENV{SLLMR_COMMIT}")
  # A tarball unpacked inside some other repository must not take that one's commit.
  if(_commit STREQUAL "" AND EXISTS ${SOURCE}/.git)
    execute_process(COMMAND git describe --always --dirty --abbrev=12 WORKING_DIRECTORY ${SOURCE}
                    OUTPUT_VARIABLE _commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  if(_commit STREQUAL "")
    set(_commit unknown)
  endif()
  file(CONFIGURE OUTPUT ${HEADER} CONTENT "#pragma once\n#define SLLMR_COMMIT \"${_commit}\"\n#define SLLMR_VERSION \"${VERSION}\"\n")
  return()
endif()

function(sllmr_record_commit target)
  set(_header ${CMAKE_CURRENT_BINARY_DIR}/generated/host/runs/commit.h)
  add_custom_target(${target}_commit BYPRODUCTS ${_header}
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${SLLMR_ROOT} -DVERSION=${sllmr_VERSION} -DHEADER=${_header} -P ${CMAKE_CURRENT_FUNCTION_LIST_FILE})
  add_dependencies(${target} ${target}_commit)
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/generated)
endfunction()
