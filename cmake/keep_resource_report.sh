#!/bin/sh
# Compiler launcher for CUDA sources: `keep_resource_report.sh nvcc ... -o OBJECT ...` runs nvcc and moves the resource
# report of --resource-usage from the terminal to OBJECT.resources, where the test fused_step_resources reads it.
object=
previous=
for argument in "$@"; do
  [ "$previous" = -o ] && object=$argument
  previous=$argument
done
messages=$("$@" 2>&1)
status=$?
report='^ptxas info|bytes stack frame'
if [ -n "$object" ]; then
  printf '%s\n' "$messages" | grep -E "$report" >"$object.resources"
fi
printf '%s' "$messages" | grep -Ev "$report" >&2
exit $status
