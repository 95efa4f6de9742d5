# Two commands on a fresh machine: `make test` and `make demo`. Everything is installed into .venv.
#   make test PYTHON=python3.12        another Python
#   make demo PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"    torch without CUDA on Linux
PYTHON ?= python3
PIP_FLAGS ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
STUDY := experiments/01_first_season
# One thread a process: more wait for each other at every step, and a busy neighbour makes them wait long.
THREADS ?= 1
# One worker runs a whole file of tests, so that the runs that its tests share are trained once.
WORKERS ?= 2
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install test check lint types layers unit soak docs demo study fetch-smollm2 format clean

help:  ## Lists these targets.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## Makes .venv with the tested versions of constraints.txt; done again when they change.

$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found; run make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else "seasonrec needs Python 3.11 or newer, $(PYTHON) is %d.%d; run make PYTHON=python3.11" % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) -c constraints.txt -e ".[dev]"
	@touch $@

test: check unit  ## Lints, checks types and import layers, and runs the tests.

check: lint types layers  ## The checks of `make test` without the tests.

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

layers: $(INSTALLED)
	$(BIN)/lint-imports --no-logo

unit: $(INSTALLED)  ## The tests alone.
	OMP_NUM_THREADS=$(THREADS) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

soak: $(INSTALLED)  ## Hundreds of damaged files, killed commands and odd logs; up to 30 minutes.
	OMP_NUM_THREADS=$(THREADS) $(BIN)/python -m pytest -m soak

docs: $(INSTALLED)  ## The documentation site, in site/; fails where a link leads nowhere.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

demo: $(INSTALLED)  ## A small ablation study on real data, to a finished table in runs/demo.
	OMP_NUM_THREADS=$(THREADS) $(BIN)/seasonrec ablate $(STUDY)/demo.yaml run_dir=runs/demo

study: $(INSTALLED)  ## The whole first study, in runs/first_season; started again, it goes on where it stopped.
	$(BIN)/seasonrec ablate $(STUDY)/study.yaml run_dir=runs/first_season jobs=$(JOBS)

fetch-smollm2: $(INSTALLED)  ## Fetches a small language model of the Llama type, 93 MB, for backbone=smollm2.
	$(BIN)/python -m seasonrec.models.language.smollm2

format: $(INSTALLED)  ## Formats the code and applies the linter's safe corrections.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Removes .venv and the caches of the tools; runs/ and the prepared data stay.
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist
