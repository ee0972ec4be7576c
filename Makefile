# Everything starts here; no step has to come before. `make` alone lists the targets.
# PYTHON=/path/to/python chooses the interpreter (3.12 or newer); else one is found or fetched.

BIN := .venv/bin
export PYTHON

.PHONY: help setup demo test lint hooks check-slow bench system-test-deps clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 18

setup:  ## make .venv and install everything in it
	@sh scripts/bootstrap.sh

demo: setup  ## train on sample_tiles and export a map, in minutes on a laptop: see demo-out
	@$(BIN)/tsfal-geo demo --out demo-out

# Two workers share the cores: threads that wait for work must not spin.
test: lint system-test-deps  ## all checks and all tests
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --cov --cov-report=

lint: setup  ## style, types and the order of the packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=qgis_plugin $(BIN)/lint-imports --no-logo

hooks: setup  ## run the checks of `lint` before each commit
	$(BIN)/pre-commit install

check-slow: setup system-test-deps  ## the tests that take minutes, and faults that the tests have to find
	$(BIN)/python -m pytest -m slow
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore::DeprecationWarning tests/mutants.py

bench: setup  ## measurements beside the peers, as tables
	@for each in benchmarks/*.py; do echo "== $$each"; $(BIN)/python "$$each" || exit 1; done

system-test-deps: scripts/postgis.sh scripts/qgis.sh  ## what the tests need of the operating system
	@for each in $^; do sh "$$each" || exit 1; done

clean:  ## remove what these targets made
	rm -rf .venv .venv-tools .venv-qgis .venv-qt6 demo-out build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage* *.egg-info
