# Two commands do everything on a fresh machine: `make book` and `make test`. Neither needs root.
PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/installed-requirements.txt

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

.PHONY: help book test check clean lock

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' $(MAKEFILE_LIST)

book: $(INSTALLED) ## measure the demo on this machine, analyse, build the HTML book
	@$(BIN)/python -m helpers book

test: check ## run all checks and tests; says what it skipped and why
	@echo "== tests"
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(INSTALLED)
	@echo "== lint, format, types"
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

$(INSTALLED): requirements.txt pyproject.toml
	@echo "== installing the locked packages into .venv (a few minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { \
		rm -rf .venv; echo "error: $(PYTHON) -m venv failed; install Python 3.11 with venv (Debian: python3.11-venv)," \
		"or name another: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.txt
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@cp requirements.txt $@

clean: ## remove what was built, not what was measured
	rm -rf _build .snakemake

lock: ## make requirements*.txt anew from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --all-extras --python-version 3.11 --no-annotate --no-header \
		| sed 's/+cpu$$//' > requirements.lock && mv requirements.lock requirements.txt
	uv pip compile pyproject.toml --python-version 3.11 --no-annotate --no-header -c requirements.txt \
		| sed 's/+cpu$$//' > requirements.lock && mv requirements.lock requirements-book.txt
