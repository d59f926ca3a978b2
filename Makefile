# Everything a newcomer needs, set-up included. A second run does only what changed.
#   make demo [PORT=8000]   install, create an embedded database, apply, seed, serve
#   make test               linters and the short tier of tests (minutes)
#   make test-full          the same tests at full counts, with coverage
#   make bench              benchmarks against named baselines

SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PORT ?= 8000
SIZE ?= small
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
# A distribution's Python first: it is built with profile-guided optimization, one that was compiled without it (pyenv's
# default) is a quarter slower in everything here.
FIND_PYTHON = for python in /usr/bin/python3.11 /usr/bin/python3.12 /usr/bin/python3.13 /usr/local/bin/python3.11 \
	python3.11 python3.12 python3.13 python3; do \
	if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$python; break; fi; done
PYTHON ?= $(shell $(FIND_PYTHON))

DEPS := $(VENV)/.clew-deps
READY := $(VENV)/.clew-ready
BENCH_READY := $(VENV)/.clew-bench
WORKBENCH := platform/workbench
MODULES := $(WORKBENCH)/node_modules/.clew-modules
STATIC := platform/clew/web/static/.clew-built
OIDC := tests/oidc/node_modules/.clew-modules
SOURCES := $(shell find $(WORKBENCH) -type f -not -path '*/node_modules/*' 2>/dev/null)
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

.PHONY: help setup web oidc demo test test-full lint test-python test-web coverage bench lock docs clean

help:
	@sed -n '2,5s/^#   //p' Makefile

setup: $(READY) web

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed. 需要带 venv 的 Python 3.11 或更高版本。"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(DEPS): constraints.txt | $(VENV)/bin/python
	$(PIP) install --no-deps --require-hashes -r constraints.txt
	@touch $@

$(READY): pyproject.toml $(DEPS)
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# The browser's part needs Node; without it the server runs and says what is missing.
web:
	@if command -v npm >/dev/null 2>&1; then $(MAKE) --no-print-directory $(STATIC); \
	else echo "Node 20 was not found: the browser pages are not built. 未找到 Node 20:未构建网页界面。"; fi

$(MODULES): $(WORKBENCH)/package-lock.json
	cd $(WORKBENCH) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(STATIC): $(MODULES) $(SOURCES)
	cd $(WORKBENCH) && npm run --silent build
	@touch $@

demo: setup
	$(BIN)/clew demo --port $(PORT) --size $(SIZE)

test: lint test-web test-python

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive platform/clew --configfile pyproject.toml --severity-level medium --confidence-level medium

# A real identity provider for the tests of single sign-on.
$(OIDC): tests/oidc/package-lock.json
	cd tests/oidc && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

oidc:
	@if command -v npm >/dev/null 2>&1; then $(MAKE) --no-print-directory $(OIDC); fi

test-python: $(READY) web oidc
	$(BIN)/pytest -n $(JOBS)

test-web: web
	@if command -v npm >/dev/null 2>&1; then cd $(WORKBENCH) && npm run --silent test; fi

test-full: lint test-web $(READY) oidc
	$(BIN)/coverage erase
	CLEW_TEST_TIER=full $(BIN)/coverage run -m pytest -n $(JOBS) --timeout=7200
	-$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

coverage: $(READY) web oidc
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(JOBS)
	-$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# The peers come from npm; without Node the others are measured all the same.
$(BENCH_READY): $(READY) benchmarks/peers/postgraphile/package-lock.json
	@if command -v npm >/dev/null 2>&1; then cd benchmarks/peers/postgraphile && npm ci --no-audit --no-fund --loglevel=error; fi
	@touch $@

bench: $(BENCH_READY)
	$(BIN)/python -m benchmarks

# After a change of the dependencies in pyproject.toml; needs uv (from PyPI). The lock names no registry.
lock:
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links --quiet --output-file constraints.txt

docs: setup
	$(BIN)/clew docs --out dist/docs

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build htmlcov .coverage .coverage.* platform/clew/web/static
