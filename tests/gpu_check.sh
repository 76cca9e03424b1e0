#!/usr/bin/env bash
# All that only a GPU can tell, in one call: gpu_check.sh PROGRAMS FOLDER (through ./run gpu-check).
# Needs CUDA's libraries and tools, but no compiler, no packages and no network. Every step writes its own log in
# FOLDER, and one entry in FOLDER/summary.json. Exits with 1 when a step failed. GPU_CHECK_LIMIT: seconds after which
# one program is stopped (150; four times as long under a sanitizer, twelve times for the deep backbones, whose peers are
# compiled). GPU_CHECK_STEPS: only these steps, by name.
set -uo pipefail

programs=$1 folder=$2
limit=${GPU_CHECK_LIMIT:-150}
known="parity memcheck racecheck bench models models_4096 ncu"
chosen=${GPU_CHECK_STEPS:-$known}
PATH=$PATH:/usr/local/cuda/bin:/opt/nvidia/nsight-compute
export LD_LIBRARY_PATH=$programs/lib:${LD_LIBRARY_PATH:-}:/usr/local/cuda/lib64
steps=()

# record NAME SECONDS STATUS DETAIL: one line for the reader, one entry for summary.json.
record() {
  local word=failed passed=false
  if (($3 == 0)); then word=passed passed=true; fi
  printf '%-10s %s (%s s) %s\n' "$1" "$word" "$2" "$4"
  steps+=("{\"name\": \"$1\", \"passed\": $passed, \"seconds\": $2, \"detail\": \"${4//[\"\\]/}\"}")
}

# step NAME DETAIL COMMAND...: runs the command with its output in NAME.log; DETAIL LOG prints one line about it.
step() {
  local name=$1 detail=$2 log=$folder/$1.log start=$SECONDS status
  [[ " $chosen " == *" $name "* ]] || return 0
  shift 2
  "$@" >"$log" 2>&1
  status=$?
  truncate -s '<15M' "$log"
  record "$name" $((SECONDS - start)) "$status" "$("$detail" "$log")"
}

# Cases end in a line such as "[       OK ] Suite.Case (3 ms)"; the closing lists have no time.
count() { grep -cE "^\[ *$1 \] .* \([0-9]+ ms\)$" "$2"; }
test_counts() { echo "$(count OK "$1") passed, $(count SKIPPED "$1") skipped, $(count FAILED "$1") failed"; }
sanitizer_counts() { grep -ohE '(ERROR|RACECHECK) SUMMARY.*' "$1" | sort | uniq -c | sed 's/^ *//' | paste -sd ';'; }
bench_note() { echo "figures in $(basename "$1" .log).json"; }
last_line() { tail -n 1 "$1"; }

# parity [TOOL...]: every CUDA and parity test, under a tool.
parity() {
  local filter='--gtest_filter=*Cuda*:*Parity*' program status=0
  for program in "$programs"/test_*; do
    [[ -n $("$program" "$filter" --gtest_list_tests) ]] || continue
    timeout "$(($# > 0 ? 4 * limit : limit))" "$@" "$program" "$filter" || status=1
  done
  return $status
}
# A skipped test found no device, which here is a failure.
parity_tests() {
  parity "$@" && (($(count OK "$folder/parity.log") > 0 && $(count SKIPPED "$folder/parity.log") == 0))
}
benchmarks() {
  timeout "$limit" "$programs/sllmr_bench" --device cuda && tail -n 1 "$folder/bench.log" >"$folder/bench.json"
}
# models NAME BATCH: beside eager and compiled PyTorch where there is one and the data it reads.
models() {
  local peer=()
  if [[ -f ../shared/data/amazon/beauty.inter ]] && python3 -c 'import numpy, torch' 2>/dev/null; then
    peer=(--torch python3 --torch-compiled)
  fi
  timeout "$((12 * limit))" "$programs/sllmr_bench" --models --batch "$2" --device cuda "${peer[@]}" &&
    tail -n 1 "$folder/$1.log" >"$folder/$1.json"
}
# The body's type is part of the kernel's demangled name. The card's clocks are left as they are.
profile() {
  rm -f "$folder/fused_mf_step.ncu-rep" # ncu's exit status says little of --kill; a file of an earlier call would pass
  timeout "$limit" ncu --set full --clock-control none --kernel-name-base demangled \
    -k regex:FusedMfStep -c 3 --kill yes -f -o "$folder/fused_mf_step" \
    "$programs/sllmr_bench" --quick --device cuda
  ncu --import "$folder/fused_mf_step.ncu-rep" --page details >"$folder/fused_mf_step.txt"
}

for name in $chosen; do
  if [[ " $known " != *" $name "* ]]; then
    echo "gpu-check: GPU_CHECK_STEPS: no step is called $name; there are: $known" >&2
    exit 1
  fi
done
for tool in nvidia-smi compute-sanitizer ncu; do
  if ! command -v "$tool" >/dev/null; then
    echo "gpu-check: $tool was not found: install the CUDA toolkit with Nsight Compute, or put it on PATH" >&2
    exit 1
  fi
done
if ! device=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | head -n 1) || [[ -z $device ]]; then
  echo "gpu-check: no GPU here: nvidia-smi lists none" >&2
  exit 1
fi
echo "device: $device"

step parity test_counts parity_tests
step memcheck sanitizer_counts parity compute-sanitizer --tool memcheck --error-exitcode 1
step racecheck sanitizer_counts parity compute-sanitizer --tool racecheck --error-exitcode 1
step bench bench_note benchmarks
step models bench_note models models 128
step models_4096 bench_note models models_4096 4096
step ncu last_line profile

failed=$(printf '%s\n' "${steps[@]}" | grep -c '"passed": false')
{
  printf '{"device": "%s", "failed": %s, "steps": [\n  ' "$device" "$failed"
  printf '%s' "${steps[0]}"
  printf ',\n  %s' "${steps[@]:1}"
  printf '\n]}\n'
} >"$folder/summary.json"
echo "$failed steps failed; results in $folder"
((failed == 0))
