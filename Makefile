# Parley. `make help` lists the targets. Works with make 3.81 (macOS) and later.
SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# Writing byte code is what makes the second start fast; some environments turn it off.
export PYTHONDONTWRITEBYTECODE :=
PYTEST_ARGS ?=

.PHONY: help setup setup-test setup-dev demo test check format bench servers schemas lock clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what the demo needs into .venv (PYTHON=python3.12 picks an interpreter)
	@sh tools/setup.sh demo

setup-test: ## Install what the tests need as well
	@sh tools/setup.sh test

setup-dev: ## Install what `make check` and `make lock` need as well
	@sh tools/setup.sh dev

demo: setup ## Place three spoken calls on this machine: no keys, no network, no Docker
	@$(BIN)/parley demo

test: setup-test ## Run all tests that can run here (PYTEST_ARGS="-k words" narrows)
	@sh tools/test.sh $(PYTEST_ARGS)

check: setup-dev ## Format, lint, types, import arrows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_schemas.py

format: setup-dev ## Put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup-test ## Measure latency against stock livekit-agents, and publishing -> bench-out/
	@$(BIN)/python -m tests.bench.latency
	@$(BIN)/python -m tests.bench.publishing

servers: setup ## Build real servers into the user's cache (SERVERS="livekit")
	@$(BIN)/parley servers $(SERVERS)

schemas: setup-test ## Export the events' JSON Schemas to docs/api/events/
	@$(BIN)/python tools/check_schemas.py --write

lock: setup-dev ## Pin all dependencies anew with hashes (requirements/*.txt)
	@sh tools/lock.sh

clean: ## Remove what the targets made (not the user's cache)
	rm -rf $(VENV) demo-out call-out bench-out .parley .pytest_cache .mypy_cache .ruff_cache *.egg-info
