# `make` alone lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin
# One BLAS thread per process: two processes on two cores beat four threads that wait for each other.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
PYTEST_ARGS ?=

.PHONY: help demo test lint format cluster constraints protocol agent-oracle loadtest bench-forecast bench-policy bench-simulator bench-api bench-agent bench-controller bench-serving bench-training clean
.PHONY: setup-demo setup-test check-style check-format check-layers check-types pytest

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup-demo ## Train, judge and compare with the HPA on generated demand; ends with a report to look at
	@$(BIN)/forescale demo

test: setup-test ## Everything that must hold: style, types, layers, tests (PYTEST_ARGS="-k ..." to choose)
	@$(MAKE) --no-print-directory lint pytest

lint: setup-test ## Only the static half of `make test`: ruff, mypy --strict, import contract
	@$(MAKE) --no-print-directory -j2 --output-sync=target check-types check-style check-format check-layers

format: setup-test ## Format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix-only -q .
	@$(BIN)/ruff format .

cluster: ## Build the real Kubernetes for tests (30 min the first time)
	@scripts/build-cluster

constraints: ## Pin every dependency anew in constraints.txt (UPGRADE=1 for the newest versions)
	@uv=$$(scripts/setup uv) && "$$uv" pip compile pyproject.toml --all-extras --group dev --group go -o constraints.txt -q \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command 'make constraints' $(if $(UPGRADE),--upgrade) && \
		printf 'langgraph==1.0.0\nlanggraph-sdk==0.2.9\n' | "$$uv" pip compile - -q --universal --python-version 3.11 \
		-o tests/agent_service/compat/oldest-client.txt --generate-hashes --no-emit-index-url \
		--custom-compile-command 'make constraints'

protocol: setup-test ## Compile the protocol that KEDA speaks with the controller
	@$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. controller/keda/externalscaler.proto

agent-oracle: setup-test ## Ask LangGraph's own development server and ours the same, and compare the answers
	@scripts/setup oracle
	@$(BIN)/python -m tests.agent_service.compat.oracle

loadtest: setup-test ## Put a short load on the agent service; leaves CSV and HTML in loadtest/
	@$(ONE_THREAD) scripts/loadtest

bench-forecast: setup-test ## Measure accuracy on real traces, against simple baselines and LightGBM (hours)
	@$(BIN)/python -m benchmarks.forecast

bench-policy: setup-test ## Measure what prediction buys against a tuned HPA, on real traces (an hour)
	@$(ONE_THREAD) $(BIN)/python -m benchmarks.policy

bench-simulator: setup-test ## Measure how many simulated weeks a second the simulator does
	@$(ONE_THREAD) $(BIN)/python -m benchmarks.simulator

bench-api: setup-test ## Measure the forecast server: reads, cycles, memory, start
	@$(ONE_THREAD) $(BIN)/python -m benchmarks.api

bench-agent: setup-test ## Measure what a run of the agent service costs, beside langgraph alone
	@$(ONE_THREAD) $(BIN)/python -m benchmarks.agent --out benchmarks/agent.md

bench-controller: setup-test cluster ## Measure the controller at a thousand resources, on a real API server
	@$(ONE_THREAD) $(BIN)/python -m benchmarks.controller

bench-serving: setup-test ## Measure how long a forecast takes, alone and in a batch
	@$(BIN)/python -m benchmarks.serving

bench-training: setup-test ## Measure how long training takes, and how much memory
	@$(BIN)/python -m benchmarks.training

clean: ## Remove the virtual environment and everything that was fetched or built
	@rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist demo loadtest
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup-demo:
	@scripts/setup demo

setup-test:
	@scripts/setup test

check-style:
	@$(BIN)/ruff check -q . && echo "ruff: no findings"

check-format:
	@$(BIN)/ruff format --check -q . && echo "format: as ruff writes it" || \
		{ echo "format: run 'make format'"; exit 1; }

check-layers:
	@$(BIN)/lint-imports

check-types:
	@$(BIN)/mypy

pytest: setup-test
	@$(ONE_THREAD) scripts/run-tests $(PYTEST_ARGS)
