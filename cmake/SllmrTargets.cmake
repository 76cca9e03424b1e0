# find_package and find_path that name the Debian package to install when they find nothing.
macro(sllmr_find_package name debian_package)
  find_package(${name} QUIET ${ARGN})
  if(NOT ${name}_FOUND)
    message(FATAL_ERROR "${name} was not found. Install it (Debian: apt-get install ${debian_package}), or let ./run do it.")
  endif()
endmacro()
function(sllmr_find_header header debian_package)
  string(MAKE_C_IDENTIFIER "SLLMR_DIR_OF_${header}" _folder)
  find_path(${_folder} ${header})
  if(NOT ${_folder})
    message(FATAL_ERROR "${header} was not found. Install it (Debian: apt-get install ${debian_package}), or let ./run do it.")
  endif()
  mark_as_advanced(${_folder})
endfunction()

# Enables the CUDA language according to SLLMR_CUDA and says what was decided. Sets SLLMR_WITH_CUDA (0 or 1).
macro(sllmr_find_cuda)
  include(CheckLanguage)
  set(SLLMR_WITH_CUDA 0)
  if(NOT SLLMR_CUDA STREQUAL "OFF")
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
      if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
        set(CMAKE_CUDA_ARCHITECTURES 90)
      endif()
      enable_language(CUDA)
      find_package(CUDAToolkit REQUIRED)
      set(CMAKE_CUDA_STANDARD 20)
      set(CMAKE_CUDA_STANDARD_REQUIRED ON)
      if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
        # CMake 3.25 does not know yet that nvcc has C++20.
        set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
        set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
      endif()
      set(SLLMR_WITH_CUDA 1)
    elseif(SLLMR_CUDA STREQUAL "ON")
      message(FATAL_ERROR "SLLMR_CUDA=ON, but no nvcc was found: put it on PATH or set CMAKE_CUDA_COMPILER")
    endif()
  endif()
  if(SLLMR_WITH_CUDA)
    message(STATUS "sllmr: CPU and CUDA backends (sm_${CMAKE_CUDA_ARCHITECTURES})")
  else()
    message(STATUS "sllmr: CPU backend only")
  endif()
endmacro()

# Flags that decide what the machine computes: of every target of the project, and of gates that are compiled when a run
# begins (host/guidance/gate_module.h).
# -fno-semantic-interposition: else a function that a library exports is inlined nowhere.
set(SLLMR_CODE_FLAGS -fno-math-errno -fno-trapping-math -fno-semantic-interposition)
if(NOT SLLMR_CPU_ARCH STREQUAL "")
  list(APPEND SLLMR_CODE_FLAGS -march=${SLLMR_CPU_ARCH})
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  # One instruction set on every machine keeps a seed's numbers the same on every machine.
  list(APPEND SLLMR_CODE_FLAGS -march=x86-64-v3)
else()
  list(APPEND SLLMR_CODE_FLAGS -march=native)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND NOT SLLMR_LINT)
  # Else a row's sums, which begin as zeros, are cleared by `rep stos`, which takes as long as adding a row to them.
  list(APPEND SLLMR_CODE_FLAGS -mmemset-strategy=vector_loop:1024:noalign,libcall:-1:noalign)
endif()

# Flags that every target of the project shares.
function(sllmr_target_defaults target)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${SLLMR_ROOT}> $<INSTALL_INTERFACE:include/sllmr>)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wconversion
                                           -Wno-sign-conversion -Werror ${SLLMR_CODE_FLAGS}>)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # GCC 12 sees an overlap in "literal" + std::string (its bug 105651), and in -O3 overruns in other joined strings: of
    # those it tells, but does not stop.
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict -Wno-error=array-bounds
                                             -Wno-error=stringop-overflow>)
  endif()
  if(SLLMR_SANITIZE)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${SLLMR_SANITIZE}
                                             -fno-sanitize-recover=all -fno-omit-frame-pointer>)
    target_link_options(${target} PUBLIC -fsanitize=${SLLMR_SANITIZE})
  endif()
  if(SLLMR_WITH_CUDA)
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:CUDA>:-lineinfo -Werror=all-warnings --resource-usage -Xcompiler=-Wall,-Wextra,-Werror,-Wno-unknown-pragmas>)
  endif()
endfunction()

# Parses the HEADERs, those that most files of the target include and that take longest, once instead of in every file. A
# file still includes what it uses: clang-tidy reads it without them. ccache has its own way, which these would block.
function(sllmr_precompile target)
  if(SLLMR_PCH AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    list(TRANSFORM ARGN REPLACE "(.+)" "$<$<COMPILE_LANGUAGE:CXX>:<\\1$<ANGLE-R>>" OUTPUT_VARIABLE _headers)
    target_precompile_headers(${target} PRIVATE ${_headers})
  endif()
endfunction()

# Where SLLMR_GROUP has `kind`, compiles the sources of a folder of the target as one: what they include is parsed, and its
# templates emitted, once a folder. Two files of a folder must not give one name to two things of their own, so a file that
# is an entry of a registry stays alone. An overload that only a group sees shows as a test that fails here and not
# elsewhere: programs for use are not made so.
function(sllmr_group target kind)
  if(kind IN_LIST SLLMR_GROUP)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
    get_target_property(_sources ${target} SOURCES)
    set(_alone "(answer|encoder|import|protocol|scorer)_|_metrics\\.|/(backbones|guidance)/[^/]*$|/cin/|/(small_gemm|http)\\.")
    foreach(_source ${_sources})
      cmake_path(RELATIVE_PATH _source BASE_DIRECTORY ${SLLMR_ROOT} OUTPUT_VARIABLE _path)
      if(_path MATCHES "^tests/.*\\.cpp$" OR (_path MATCHES "\\.cpp$" AND NOT _path MATCHES "${_alone}"))
        cmake_path(GET _path PARENT_PATH _folder)
        string(REGEX REPLACE "(models/layers)/.*" "\\1" _folder "${_folder}") # a room of two files is no group
        string(MAKE_C_IDENTIFIER "${_folder}" _folder)
        set_source_files_properties(${_source} PROPERTIES UNITY_GROUP ${_folder})
      endif()
    endforeach()
  endif()
endfunction()

# A static library of one layer, from all its sources. Every .cu file is compiled twice: by the C++ compiler for
# the CPU backend (through a one-line .cpp that includes it) and, where there is one, by nvcc for CUDA.
function(sllmr_layer target)
  file(GLOB_RECURSE _cpp CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  file(GLOB_RECURSE _cu CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cu)
  list(FILTER _cpp EXCLUDE REGEX "/main\\.cpp$|/kernels/exec/mpi/")
  foreach(_source ${_cu})
    file(RELATIVE_PATH _relative ${SLLMR_ROOT} ${_source})
    set(_twin ${CMAKE_CURRENT_BINARY_DIR}/cpu/${_relative}.cpp)
    file(CONFIGURE OUTPUT ${_twin} CONTENT "#include \"${_relative}\"\n")
    list(APPEND _cpp ${_twin})
  endforeach()
  add_library(${target} STATIC ${_cpp})
  if(SLLMR_WITH_CUDA)
    target_sources(${target} PRIVATE ${_cu})
    set_target_properties(${target} PROPERTIES CUDA_COMPILER_LAUNCHER ${SLLMR_ROOT}/cmake/keep_resource_report.sh)
    # cuBLAS is loaded at run time (kernels/exec/cublas.h), from where it lay.
    target_link_libraries(${target} PUBLIC CUDA::cudart_static CUDA::toolkit ${CMAKE_DL_LIBS})
    target_link_options(${target} PUBLIC LINKER:-rpath,${CUDAToolkit_LIBRARY_DIR})
  endif()
  target_compile_definitions(${target} PUBLIC SLLMR_WITH_CUDA=${SLLMR_WITH_CUDA})
  sllmr_target_defaults(${target})
  # Of a build with sanitizers the tests wait for xDeepFM's products, and the build for what parses flags.
  if(SLLMR_SANITIZE)
    list(FILTER _cpp INCLUDE REGEX "/(cin/|small_gemm\\.)")
    set_source_files_properties(${_cpp} PROPERTIES COMPILE_OPTIONS -O2)
    if(${target} MATCHES "experiments")
      target_compile_options(${target} PRIVATE -O0)
    endif()
  endif()
endfunction()

# All tests/<folder>/**/*.cpp become one executable, each case a ctest test (with sanitizers eight shares of them). It runs
# in the root of the repository and finds its files from there (SLLMR_SOURCE_DIR is "."), so that it also runs in a copy on
# another machine. ctest begins with the tests of highest COST: long ones, that no core ends alone with one.
function(sllmr_test folder)
  cmake_parse_arguments(PARSE_ARGV 1 _test "" COST "")
  if(NOT _test_COST)
    set(_test_COST 0)
  endif()
  file(GLOB_RECURSE _sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp)
  if(NOT _sources)
    return()
  endif()
  set(_target test_${folder})
  add_executable(${_target} ${_sources})
  sllmr_target_defaults(${_target})
  # The test sources themselves need to be built fast, not to run fast; sanitizers make optimising them slow.
  if(SLLMR_SANITIZE)
    target_compile_options(${_target} PRIVATE -O0)
  else()
    target_compile_options(${_target} PRIVATE -O1)
  endif()
  sllmr_precompile(${_target} algorithm cmath filesystem fstream map memory string vector
                   gmock/gmock.h gtest/gtest.h nlohmann/json.hpp)
  sllmr_group(${_target} tests)
  target_link_libraries(${_target} PRIVATE ${_test_UNPARSED_ARGUMENTS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${_target} PRIVATE SLLMR_SOURCE_DIR=".")
  if(SLLMR_SANITIZE)
    # Starting a sanitized program takes as long as most of its cases: a few processes, each with its share of them.
    set(_shards 8)
    math(EXPR _last "${_shards} - 1")
    foreach(_shard RANGE ${_last})
      add_test(NAME ${folder}.${_shard} COMMAND ${_target} --gtest_brief=1 WORKING_DIRECTORY ${SLLMR_ROOT})
      set_tests_properties(${folder}.${_shard} PROPERTIES TIMEOUT 1800 COST ${_test_COST}
                           ENVIRONMENT "GTEST_TOTAL_SHARDS=${_shards};GTEST_SHARD_INDEX=${_shard}")
    endforeach()
    return()
  endif()
  gtest_discover_tests(${_target} TEST_PREFIX ${folder}. WORKING_DIRECTORY ${SLLMR_ROOT} NO_PRETTY_VALUES
                       DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 600 COST ${_test_COST})
endfunction()
