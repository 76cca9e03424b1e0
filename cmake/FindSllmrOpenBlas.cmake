# OpenBLAS in its OpenMP flavour, which can be told for each thread to stay on it (kernels/exec/gemm.cpp).
# Linked by its full path, so that CMake records the folder and the flavour that Debian's alternatives point to, often
# the one with threads of its own, is not loaded instead.
find_path(SllmrOpenBlas_INCLUDE_DIR cblas.h
          PATH_SUFFIXES ${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp openblas-openmp openblas)
find_library(SllmrOpenBlas_LIBRARY openblas PATH_SUFFIXES openblas-openmp openblas)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(SllmrOpenBlas DEFAULT_MSG SllmrOpenBlas_LIBRARY SllmrOpenBlas_INCLUDE_DIR)
mark_as_advanced(SllmrOpenBlas_INCLUDE_DIR SllmrOpenBlas_LIBRARY)
if(SllmrOpenBlas_FOUND AND NOT TARGET sllmr::openblas)
  add_library(sllmr::openblas INTERFACE IMPORTED)
  target_include_directories(sllmr::openblas SYSTEM INTERFACE ${SllmrOpenBlas_INCLUDE_DIR})
  target_link_libraries(sllmr::openblas INTERFACE ${SllmrOpenBlas_LIBRARY})
endif()
