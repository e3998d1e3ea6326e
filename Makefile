# Everything sets itself up: a Python from 3.11 on and make are all that a machine needs.
#   make PYTHON=/path/to/python3 ...   chooses another Python
#   make drill DRILL_ARGS="--json"     hands more to the drill
#   make test TEST_ARGS="tests/kit"    runs a part of the tests

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
DRILL_ARGS ?=
TEST_ARGS ?=
# Most tests wait for real things; more at once than cores make some of them too late. 0: one after the other.
TEST_WORKERS ?= 2
UV_VERSION := 0.13.8
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

# A name on PATH is not yet a Python that runs (a pyenv shim may refuse), so each candidate is executed.
FIND_PYTHON = for candidate in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
    "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && break; \
    candidate=; \
  done; \
  if [ -z "$$candidate" ]; then \
    echo "breakglass needs Python 3.11 or newer, and none of python3.13, python3.12, python3.11, python3 is one." >&2; \
    echo "  Install one (Debian, Ubuntu: apt-get install python3 python3-venv), or: make PYTHON=/path/to/python3" >&2; \
    exit 69; \
  fi

.PHONY: help setup drill test coverage check bench campaign simulate lock docs picture clean

help: ## show this list
	@echo "make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' Makefile | expand -t 14

# A virtual environment knows its own folder, and its Python: after a move or an upgrade it is made again.
setup: $(VENV)/.project ## make .venv and install what requirements.lock names (the others do this by themselves)
	@if [ "$$(cat $(VENV)/.project)" != "$(CURDIR)" ] || ! $(BIN)/python -c '' 2>/dev/null; then \
	  rm -rf $(VENV); $(MAKE) $(VENV)/.project; fi

drill: setup ## stop a live, resisting agent in a sandbox on two signatures, and prove it
	@$(BIN)/breakglass drill run --sandbox $(DRILL_ARGS)

test: setup ## run the tests
	@$(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) --dist loadfile $(TEST_ARGS)

coverage: setup ## run the tests slowly, and say which lines none of them ran
	@$(MAKE) test TEST_ARGS="--cov --cov-report=term $(TEST_ARGS)"

check: setup ## lint, format, types, import contracts, shell scripts, lock, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	@if command -v shellcheck >/dev/null 2>&1; then echo shellcheck .ci/run; shellcheck .ci/run; \
	  else echo "shellcheck is not installed: .ci/run was not checked"; fi
	$(BIN)/python -m pytest --quiet tests/project/test_lock.py
	$(BIN)/python docs/generate.py --check

bench: setup ## measure, beside the peers, and print ratios
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

campaign: setup ## kill and attack at every point (long; make test runs a fixed sample)
	@$(BIN)/python -m pytest -m campaign --full --timeout=3600 $(TEST_ARGS)

simulate: setup ## whole stops under a virtual clock and many seeds (long)
	@$(BIN)/python -m pytest -m simulation --full --timeout=3600 $(TEST_ARGS)

lock: ## write requirements.lock anew from pyproject.toml (needs the network)
	@$(FIND_PYTHON); "$$candidate" -m venv $(VENV)-lock
	@$(VENV)-lock/bin/python -m pip --disable-pip-version-check --quiet install uv==$(UV_VERSION)
	@$(VENV)-lock/bin/uv --quiet pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-header --upgrade -o requirements.lock
	@echo "requirements.lock: $$(grep -c '^[a-z]' requirements.lock) packages"

docs: setup ## write the generated files in docs/ anew
	$(BIN)/python docs/generate.py

picture: setup ## make the README's picture from a real drill (needs tmux)
	$(BIN)/python docs/picture.py

clean: ## remove what the targets made
	rm -rf $(VENV) $(VENV)-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.lock: requirements.lock
	@$(FIND_PYTHON); \
	echo "Setting up $(VENV) with $$("$$candidate" -V) (once; about a minute)"; \
	if ! "$$candidate" -m venv --clear $(VENV) || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  rm -rf $(VENV); \
	  echo "$$candidate cannot make a virtual environment with pip in it." >&2; \
	  echo "  Debian, Ubuntu: apt-get install python3-venv, then make again" >&2; \
	  exit 69; \
	fi
	@echo "Installing $$(grep -c '^[a-z]' requirements.lock) packages from requirements.lock, each checked against its hash"
	@$(PIP) install --require-hashes --requirement requirements.lock
	@touch $@

$(VENV)/.project: $(VENV)/.lock pyproject.toml breakglass/__init__.py
	@echo "Installing breakglass itself, editable"
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@echo "$(CURDIR)" >$@
