# `cmake --install`: the program, and the libraries with their headers as the package `sllmr`, whose targets are
# sllmr::kernels, sllmr::models, sllmr::host and sllmr::experiments. The kernels' sources come along: gates of headers are compiled with them.
include(CMakePackageConfigHelpers)
install(TARGETS sllmr RUNTIME DESTINATION bin)
if(TARGET sllmr_mpi)
  install(TARGETS sllmr_mpi LIBRARY DESTINATION lib)
endif()
foreach(_layer IN ITEMS kernels models host experiments)
  set_target_properties(sllmr_${_layer} PROPERTIES EXPORT_NAME ${_layer})
  install(DIRECTORY ${SLLMR_ROOT}/${_layer} DESTINATION include/sllmr FILES_MATCHING PATTERN "*.h")
endforeach()
install(DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/host/gate_sources/kernels DESTINATION include/sllmr)
install(TARGETS sllmr_kernels sllmr_models sllmr_host sllmr_experiments EXPORT sllmr_targets ARCHIVE DESTINATION lib)
set(_package lib/cmake/sllmr)
install(EXPORT sllmr_targets NAMESPACE sllmr:: FILE sllmrTargets.cmake DESTINATION ${_package})
configure_package_config_file(${SLLMR_ROOT}/cmake/sllmrConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/sllmrConfig.cmake
                              INSTALL_DESTINATION ${_package})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/sllmrConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sllmrConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/sllmrConfigVersion.cmake
              ${SLLMR_ROOT}/cmake/FindSllmrOpenBlas.cmake DESTINATION ${_package})
