# Every target uses the environment in .venv, made from requirements.lock.
PYTHON ?= $(firstword $(foreach name,python3.12 python3.11 python3.13 python3,$(if $(shell $(name) -c 'import sys; print(1 if (3,11) <= sys.version_info[:2] <= (3,13) else "")' 2>/dev/null),$(name))))
BIN := .venv/bin
READY := .venv/.ready
PEERS := benchmarks/.venv/.ready
STREAMS := benchmarks/kafka_streams/target/shop-1.jar

JOBS ?= 3
TESTS = $(BIN)/python -m pytest -q -n $(JOBS) --dist loadgroup --no-loadscope-reorder
SEEDS ?= 100000

.DEFAULT_GOAL := help
.PHONY: help env demo test test-long check format docs schemas bench bench-full chaos simulate-faults mutants lock clean

help: ## show the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

env: $(READY) ## make the environment that every target uses (.venv)

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Rumbo needs Python 3.11, 3.12 or 3.13 on the path (or PYTHON=/path/to/python)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "making the environment in .venv (once; a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: env ## a year of real shoppers, live in the terminal, on an embedded broker
	@$(BIN)/rumbo demo

test: env ## the tests: quick ones first, then those on a real Kafka (JOBS processes at once, which share a broker)
	@$(BIN)/python -m tests.packages & $(TESTS) -m "not long"

test-long: env ## what `make test` leaves out for time's sake: more deaths and faults on a real Kafka, the whole year by brute force
	@$(TESTS) -m long

check: env ## style, types, layers
	@$(BIN)/ruff format --check --quiet src tests || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet src tests
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

format: env ## format the code
	@$(BIN)/ruff format --quiet src tests
	@$(BIN)/ruff check --quiet --fix src tests || true

docs: env ## the documentation site in build/site; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

schemas: env ## write schemas/, docs/reference.md and docs/metrics.md from the types
	@$(BIN)/rumbo schema --write schemas
	@$(BIN)/rumbo schema --reference > docs/reference.md
	@$(BIN)/python -m rumbo.observe.catalogue > docs/metrics.md

bench: env $(PEERS) $(STREAMS) ## the benchmark job on every engine, the short form: ratios in some minutes; goes on where it was interrupted
	@benchmarks/.venv/bin/python -m benchmarks.runner short

bench-full: env $(PEERS) $(STREAMS) ## the long form: more rounds, skewed customers, latency, memory, recovery, scale-out; resumable
	@benchmarks/.venv/bin/python -m benchmarks.runner full

$(PEERS): benchmarks/requirements.txt
	@test -x benchmarks/.venv/bin/python || $(PYTHON) -m venv benchmarks/.venv
	@echo "making the environment of the peers in benchmarks/.venv (once)"
	@benchmarks/.venv/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $(PEERS)

$(STREAMS): benchmarks/kafka_streams/pom.xml $(wildcard benchmarks/kafka_streams/src/main/java/shop/*.java)
	@echo "compiling the job for Kafka Streams (Maven)"
	@mvn -q -B -f benchmarks/kafka_streams package

chaos: env ## the fault catalogue on a real Kafka, resumable; rewrites tests/chaos/RESULTS.md and the README's table
	@$(BIN)/python -m tests.chaos

simulate-faults: env ## the engine on a broker in memory under seeded faults, SEEDS schedules (100000), resumable
	@$(BIN)/python -m tests.simulator --seeds $(SEEDS)

mutants: env ## plant each known fault in the engine and see it caught
	@$(BIN)/python -m tests.simulator.mutants

lock: ## pin every dependency with its hashes (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url \
		--no-header --no-annotate pyproject.toml -o requirements.lock
	@uv pip compile --quiet --universal --python-version 3.11 --extra build --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --constraint requirements.lock pyproject.toml -o requirements-run.lock

clean: ## remove what the targets made
	@rm -rf .venv benchmarks/.venv benchmarks/kafka_streams/target build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
