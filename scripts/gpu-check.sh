#!/usr/bin/env bash
# Everything about the engine 'cuda' that takes a GPU, on a machine that has one, with nvcc, CMake, ninja and PyTorch, and
# neither a network nor Node: npm run gpu:pack made build/gpu-pack.tar.gz with the rest. Builds, tests, looks for wrong
# memory accesses and races, measures; within ten minutes. Run it in the repository's root; exits with 1 if a check failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

wanted=("$@")
failed=()
most_seconds=590 # in all
# step NAME SECONDS COMMAND: what fails is remembered, and the next step is taken all the same, in what time is left.
step() {
  local name=$1 seconds=$2 left=$((most_seconds - SECONDS))
  shift 2
  if [[ ${#wanted[@]} -gt 0 && " ${wanted[*]} " != *" $name "* ]]; then return; fi
  printf '\n== %s\n' "$name"
  if ((left <= 0)); then
    failed+=("$name (no time left)")
    return
  fi
  local started=$SECONDS
  timeout $((seconds < left ? seconds : left)) bash -c "$*" || failed+=("$name (exit status $?)")
  printf '== %s: %d s\n' "$name" $((SECONDS - started))
}

unpack() {
  if [[ -e build/gpu-pack.tar.gz ]]; then tar -xzf build/gpu-pack.tar.gz; fi
  [[ -x build/node/bin/node ]] || command -v node
}

# cuBLAS and cuDNN of PyTorch's own packages, where neither the system nor third_party has them.
link_packages() {
  local missing
  missing=$(cmake -P native/cuda/find-cuda.cmake) || return 1
  if [[ $missing == *"missing: "?* && ! -e third_party/cuda ]]; then
    mkdir -p third_party
    ln -s "$(python3 -c 'import nvidia, os; print(os.path.dirname(list(nvidia.__path__)[0]))')" third_party/cuda
  fi
  cmake -P native/cuda/find-cuda.cmake
}

# One architecture is enough here, and compiled in a fraction of the time.
build() {
  [[ -n ${CUDAARCHS:-} ]] || CUDAARCHS=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 | tr -d .)
  [[ -n $CUDAARCHS ]] || unset CUDAARCHS
  export CUDAARCHS CMAKE_GENERATOR=Ninja
  node scripts/build.mjs --cuda
}

tests() {
  NEURAL_LSH_TEST_CUDA=1 node node_modules/ava/entrypoints/cli.mjs --timeout=5m 'test/engines/cuda-*.test.ts' \
    test/engines/suite.test.ts test/training/backends.test.ts
}

# sanitize TOOL: the library's functions on small cases, in one process.
sanitize() {
  if ! command -v compute-sanitizer >/dev/null; then
    echo "compute-sanitizer is not here"
    return 1
  fi
  compute-sanitizer --tool "$1" --error-exitcode 9 --print-limit 20 node --import=tsx test/engines/cuda-cases.ts
}

# timings SCRIPT: what it prints is told once more at the end.
timings() {
  set -o pipefail
  node "$1" | tee -a "$report"
}

export -f unpack link_packages build tests sanitize timings
report=$(mktemp)
export report
trap 'rm -f "$report"' EXIT
export PATH="$PWD/build/node/bin:$PATH"
step unpack 20 unpack
step machine 10 nvidia-smi
step packages 10 link_packages
step build 200 build
step engine 30 node dist/cli/main.js info --engine cuda
step tests 180 tests
step memcheck 60 sanitize memcheck
step racecheck 60 sanitize racecheck
step timings 120 timings bench/cuda.mjs
step training 120 timings bench/cuda-training.mjs

printf '\n== all timings\n'
cat "$report"
printf '\n== %d s in all\n' "$SECONDS"
for name in "${failed[@]}"; do echo "FAILED: $name"; done
[[ ${#failed[@]} -eq 0 ]]
