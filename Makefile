# Everything that a newcomer needs: Python 3.11 or newer with pip, and make. The environment lives in .venv, beside this file.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-full paper lint format site wheel clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## create .venv and install adarts with its development tools into it

demo: $(STAMP)  ## search on the embedded digits, and see what the found cell is worth
	$(BIN)/adarts demo

test: lint  ## all checks, then the tests of every change (WORKERS=2 processes, one thread each)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

test-full: lint  ## the same with the tests that take long, and 20 kills of a search and a training
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m '' --kills 20

paper: $(STAMP)  ## every table and figure of the paper from tiny real runs, in about 3 minutes
	$(BIN)/adarts reproduce all --scale smoke

lint: $(STAMP)  ## style, types, and the arrows between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(STAMP)  ## rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

site: $(STAMP)  ## build the site from the pages here; open build/site/index.html
	$(BIN)/python scripts/site.py

wheel: $(STAMP)  ## build wheel and sdist into dist/, and use the wheel in a new environment
	rm -rf dist && $(BIN)/python -m build
	scripts/try_wheel.sh dist/*.whl

clean:  ## remove caches and builds; .venv, runs/ and data/ stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last, so an interrupted installation is taken up again.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "adarts needs Python 3.11 or newer, and '$(PYTHON)' is not; name one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing adarts and what it stands on into .venv; the first time this takes a few minutes and about 6 GB of disk."
	@$(PYTHON) -m venv .venv || \
	  { echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
	@echo "Installed."
