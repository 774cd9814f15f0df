# Everything a developer types. Each target does its own set-up.
#   make train     build and train a network on the digits that ship with the package
#   make test      build and run the tests (a fixed slice; what CI runs)
#   make test-all  the full product of operators, dtypes and layouts
#   make test-cuda the operator suite on a GPU (on the stand-in where there is none)
#   make test-standin  every test file on it, one after the other, with a table
#   make bench-cuda  the benchmarks on a GPU
#   make bench     PyTorch and rushlight side by side (make bench ROW=add for the rows named so)
#   make docs      build the site (build/site)
#   make takeover  measure which products OpenBLAS makes, and which kernels of our own (ARGS="--write" for the table)
#   make endure    long checks: Ctrl-C, kill -9, damaged checkpoints, memory (make endure ARGS="kill --times 20")
#   make lint      ruff
#   make build     in-place build for the interpreter that is active
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(abspath $(VENV))/bin
TEST    = $(BIN)/python -m pytest
# A process for each core, four at most: each may take 2 GB. ARGS=-n0 for one that a debugger can stop.
SPREAD  = -n auto --maxprocesses=4 --dist worksteal

.PHONY: build train test test-all test-cuda test-standin bench bench-cuda docs lint ulp takeover endure clean

build:
	flock .build.lock $(PYTHON) setup.py -q build_ext --inplace

# The environment, with rushlight installed from this tree in editable form. Rebuilt when the build files change. The core is built by ``make build``
# alone: what pip builds it throws away.
$(VENV)/.ready: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q "setuptools>=77" "Cython>=3.1,<4"
	RUSHLIGHT_BUILD=nothing $(BIN)/python -m pip install -q --no-build-isolation -e ".[test]"
	touch $@

$(VENV)/.oracle: $(VENV)/.ready
	$(BIN)/python -m pip install -q "torch==2.13.0" || echo "PyTorch 2.13.0 could not be installed: tests that compare with it are skipped"
	touch $@

$(VENV)/.cuda: $(VENV)/.ready
	$(BIN)/python -m pip install -q "nvidia-cuda-nvrtc>=13,<14" \
		|| echo "NVRTC could not be installed: tests that compile for GPUs are skipped"
	touch $@

$(VENV)/.train: $(VENV)/.ready
	$(BIN)/python -m pip install -q "tqdm>=4.60" "matplotlib>=3.8"
	touch $@

train: $(VENV)/.ready $(VENV)/.train
	PATH="$(BIN):$$PATH" $(MAKE) --no-print-directory build PYTHON=$(BIN)/python
	$(BIN)/python -m rushlight examples/digits.py $(ARGS)

test: $(VENV)/.ready $(VENV)/.oracle $(VENV)/.cuda
	PATH="$(BIN):$$PATH" $(MAKE) --no-print-directory build PYTHON=$(BIN)/python
	$(TEST) $(SPREAD) -m "not slow" $(ARGS)

test-all: $(VENV)/.ready $(VENV)/.oracle $(VENV)/.cuda
	PATH="$(BIN):$$PATH" $(MAKE) --no-print-directory build PYTHON=$(BIN)/python
	RUSHLIGHT_TEST_ALL=1 $(TEST) $(ARGS)

# On a GPU: the operator suite, the training tests and the device layer's own tests. Without one: the stand-in (see tests/cuda/standin.py).
CUDA_TESTS = tests/test_laws.py tests/test_reductions.py tests/test_index.py tests/test_index_operators.py tests/test_movement.py \
    tests/test_joining.py tests/test_sorting.py tests/test_scan.py tests/test_contraction.py tests/test_conv.py tests/test_pool.py \
    tests/test_programs.py tests/test_training.py

test-cuda: $(VENV)/.ready $(VENV)/.oracle $(VENV)/.cuda
	PATH="$(BIN):$$PATH" $(MAKE) --no-print-directory build PYTHON=$(BIN)/python
	$(BIN)/python -c "import rushlight.cuda as c; print(c.describe())"
	$(TEST) tests/cuda --device cuda $(ARGS)
	$(TEST) --device cuda $(CUDA_TESTS) $(ARGS)

# The whole test-suite with its tensors on a GPU (on the stand-in where there is none), file by file: what passed, what is skipped and why.
test-standin: $(VENV)/.ready $(VENV)/.oracle $(VENV)/.cuda
	PATH="$(BIN):$$PATH" $(MAKE) --no-print-directory build PYTHON=$(BIN)/python
	$(BIN)/python tools/standin.py $(ARGS)

# Needs a GPU and a CUDA build of PyTorch: both libraries on the GPU, alternating.
bench-cuda: $(VENV)/.ready $(VENV)/.cuda
	PATH="$(BIN):$$PATH" $(MAKE) --no-print-directory build PYTHON=$(BIN)/python
	$(BIN)/python -m benchmarks --device cuda $(ROW)

bench: $(VENV)/.ready $(VENV)/.oracle
	PATH="$(BIN):$$PATH" $(MAKE) --no-print-directory build PYTHON=$(BIN)/python
	$(BIN)/python -m benchmarks $(if $(ROW),"$(ROW)",--write docs/benchmarks.md)

ulp: $(VENV)/.ready
	$(BIN)/python benchmarks/ulp.py

takeover: $(VENV)/.ready
	PATH="$(BIN):$$PATH" $(MAKE) --no-print-directory build PYTHON=$(BIN)/python
	$(BIN)/python tools/takeover.py $(ARGS)

endure: $(VENV)/.ready
	PATH="$(BIN):$$PATH" $(MAKE) --no-print-directory build PYTHON=$(BIN)/python
	$(BIN)/python tools/endurance.py $(ARGS)

$(VENV)/.docs: $(VENV)/.ready
	$(BIN)/python -m pip install -q "mkdocs>=1.6,<2" "mkdocs-material>=9,<10"
	touch $@

docs: $(VENV)/.ready $(VENV)/.docs
	PATH="$(BIN):$$PATH" $(MAKE) --no-print-directory build PYTHON=$(BIN)/python
	$(BIN)/mkdocs build

lint: $(VENV)/.ready
	$(BIN)/ruff check .

clean:
	rm -rf build $(VENV) rushlight/_core/*.c rushlight/_core/*.so
