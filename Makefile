# Everything a developer types. Each target does its own set-up.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin

.PHONY: build test test-all bench lint clean

# In-place build with whatever interpreter is active; the lock lets several shells build one tree.
build:
	flock .build.lock $(PYTHON) setup.py -q build_ext --inplace
