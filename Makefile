# Every chore of this project, one word each. `make` alone lists them.
# Local and CI are the same: .ci/run calls `make check` and `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
# Many images set it. Then each of the hundreds of processes that tests start would compile all sources anew.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
# Half as many again as there are processors: much of the time tests wait for what others do.
TESTERS := $(shell echo $$(((3 * $$(nproc) + 1) / 2)))
UV_VERSION := 0.13.9

# -qq still shows errors; what it hides are pip's remarks about the machine's own configuration.
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input

.PHONY: help
help: ## List the chores
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: .venv/run.stamp ## Set everything up in .venv and start the demo; Ctrl-C ends it
	@exec $(BIN)/ostiary demo $(ARGS)

.PHONY: test
test: .venv/dev.stamp tools ## Set everything up and run the tests (ARGS="tests/model -k port" for some of them)
	@$(BIN)/python -m pytest -n $(TESTERS) --maxprocesses 8 $(ARGS)

.PHONY: check
check: .venv/dev.stamp ## Lint, format, types and layers, changing nothing
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: format
format: .venv/dev.stamp ## Format the code and mend what the linter can
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

.PHONY: golden
golden: .venv/dev.stamp ## Rewrite the golden files; review their diff as you would code
	@$(BIN)/python -m pytest tests/envoy tests/conformance tests/docs --update-golden $(ARGS)
	@git status --short tests/envoy docs/conformance.md docs/examples

.PHONY: bench
bench: .venv/bench.stamp tools ## Measure all, beside the peers too (ARGS=--quick a little of each, ARGS=--list, ARGS="data_plane --rounds 9")
	@.ci/tools nginx haproxy golang-cfssl pebble apache2-utils nghttp2-client
	@$(BIN)/python benchmarks/run.py $(ARGS)

.PHONY: lock
lock: .venv/run.stamp ## Choose dependency versions anew (ARGS=--upgrade for the newest) and write requirements/
	@$(PIP_INSTALL) uv==$(UV_VERSION)
	@lock() { $(BIN)/uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links $(ARGS) "$$@"; }; \
	  lock --group build -o requirements/run.txt; \
	  lock --group build --group dev --constraints requirements/run.txt -o requirements/dev.txt; \
	  lock --group build --group dev --group bench --constraints requirements/dev.txt -o requirements/bench.txt

.PHONY: clean
clean: ## Remove .venv and every cache
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage dist
	@find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# The tests' own tools, from Debian. Quiet and quick when they are there.
.PHONY: tools
tools:
	@.ci/tools postgresql curl openssl gnutls-bin libnss3-tools softhsm2 default-jdk-headless wget systemd chromium prometheus \
	  gcc libc6-dev libssl-dev libnghttp2-dev

# A stamp is as old as the install it stands for; a newer lock or entry point makes it stale.
.venv/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ostiary needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Choose one: make PYTHON=python3.11 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || .ci/tools python3-venv
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/run.stamp: requirements/run.txt pyproject.toml | .venv/python.stamp
	@echo "ostiary: installing what it runs on into .venv (once; bounded by the download)"
	@$(PIP_INSTALL) --require-hashes -r requirements/run.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/run.stamp
	@echo "ostiary: installing what its tests and checks need into .venv (once)"
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

.venv/bench.stamp: requirements/bench.txt .venv/dev.stamp
	@echo "ostiary: installing what its benchmarks need into .venv (once)"
	@$(PIP_INSTALL) --require-hashes -r requirements/bench.txt
	@touch $@
