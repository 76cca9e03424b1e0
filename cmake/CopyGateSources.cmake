# Copies what gates of headers are compiled with (host/guidance/gate_compiler.cpp) from FROM into TO: cmake -P.
file(REMOVE_RECURSE ${TO})
file(COPY ${FROM} DESTINATION ${TO} FILES_MATCHING PATTERN "*.h" PATTERN "*.cu" PATTERN "registry.cpp")
