# Two commands matter: `make track` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BASE ?= HEAD~1
HEAD ?= HEAD
BUDGET ?= 3m

.DEFAULT_GOAL := help
.PHONY: help env track test lint format dashboard smollm peers gpu clean

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Pacekeeper needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Making the environment in $(VENV) (torch is large: minutes on a slow line) ..."
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[inference,serve,postgres,dev]'
	@touch $(STAMP)

env: $(STAMP)  ## Make the virtual environment.

track: env  ## Measure HEAD and its parent, judge them, print the report.
	@.ci/track $(BIN)/tracker '$(BASE)' '$(HEAD)' '$(BUDGET)'

test: env  ## Run every test; installs Chromium and PostgreSQL through apt where it may, axe-core through npm.
	@.ci/system-packages
	@.ci/axe-core
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

calibration: env  ## Measure how often the statistics err; write the tables of docs/statistics.md.
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.calibration $(CALIBRATION_ARGS)

lint: env  ## Check style, types and import directions; changes nothing.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: env  ## Format the code in place.
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

dashboard: env  ## Open the dashboard on the store.
	@$(BIN)/tracker dashboard

smollm: env  ## Fetch and convert SmolLM2-135M (real weights) once into the cache.
	@$(BIN)/python -m benchmarks.fetch_smollm

peers: env  ## Load vLLM's, llama.cpp's and our server alike; write the table of docs/http.md (5 GB, half an hour).
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.peers $(PEERS_ARGS)

gpu:  ## Measure this machine's GPU offline, PART by PART (facts kernels engine telemetry scenarios explain suites aa).
	@PYTHON='$(PYTHON)' .ci/gpu

clean:  ## Remove the environment and every local measurement.
	rm -rf $(VENV) .asv .pacekeeper pacekeeper.db pacekeeper.db-wal pacekeeper.db-shm
