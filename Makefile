# `make run`: set up, then a gateway on simulated ticks.   `make test`: everything.   `make help`: the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test bench kafka lint fmt clean

UV := $(shell scripts/uv.sh --path)
RUN := $(UV) run --locked --no-sync

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: ## build everything into .venv
	@scripts/setup.sh

run: setup ## a gateway on simulated ticks, with a demo key and a snippet to paste
	@echo "── starting the gateway (Ctrl-C stops it)"; exec $(RUN) gateway serve --demo

test: setup ## formatting, lints, types, Rust and Python tests, speed gates
	@scripts/test.sh

bench: setup ## the measurements of bench/, beside their references
	@$(RUN) python -m bench.run

kafka: ## a Kafka broker on loopback, to look around (Ctrl-C stops it)
	@scripts/kafka run

lint: setup ## formatting, lints and types only
	@scripts/lint.sh

fmt: setup ## format Python and Rust
	@$(RUN) ruff check --fix . && $(RUN) ruff format . && cargo fmt --all

clean: ## remove what was built; keeps var/ and .env
	@rm -rf build target .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} + ; find gateway -name '*.so' -delete
