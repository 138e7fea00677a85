# Classweave. `make help` lists the targets.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
BENCHES := words speech_cost live_cost captions overload listeners measures talk_moves attendance attend_browser
.DEFAULT_GOAL := help

.PHONY: help setup demo up test check bench lock clean

help: ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: .venv/.installed src/classweave/web/static/dist/manifest.json ## Make .venv with everything and build the front end

.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

src/classweave/web/static/dist/manifest.json: .venv/.installed $(shell find frontend -type f -not -path '*/node_modules/*')
	cd frontend && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent && PATH="$(CURDIR)/$(BIN):$$PATH" node build.mjs
	touch $@

demo: setup ## Run a lesson on real recorded speech, then serve it
	$(BIN)/classweave demo

up: setup ## Start the database, the web process and the workers
	$(BIN)/classweave up

test: setup ## Run all tests (the browser part needs Chromium: Debian's package `chromium`)
	$(BIN)/python -m pytest $(if $(T),$(T),-n 2 --dist loadgroup)

check: setup ## Style, types, import contracts, migrations, locks, templates, strings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m classweave.web.i18n check
	$(BIN)/classweave db drift
	cd frontend && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent check
	$(BIN)/python -m classweave.dictionary check
	$(BIN)/python tests/check_house.py

bench: setup ## Every figure of docs/measures.md and docs/performance.md
	for name in $(BENCHES); do echo "== $$name"; $(BIN)/python bench/$$name.py || exit 1; done

lock: ## Write requirements.lock anew from pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --group dev --group build pyproject.toml -o requirements.lock

clean: ## Remove what setup made
	rm -rf .venv frontend/node_modules src/classweave/web/static/dist
