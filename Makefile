# Everything is done through these targets; `make help` lists them.
PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SHELL := /bin/bash

.DEFAULT_GOAL := help
.PHONY: help setup demo test conformance lint format protos docs web test-web lock kafka images test-containers chart test-cluster chaos fuzz bench clean

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 12

setup: $(STAMP) ## Make the virtual environment with all that development needs.

$(STAMP): requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## Train the example assistant, serve it, and talk to it.
	$(BIN)/python scripts/demo.py

test: $(STAMP) ## Run all tests, in two processes (JOBS=2).
	$(BIN)/python -m pytest --numprocesses $(or $(JOBS),2) --dist loadfile

conformance: $(STAMP) ## Compare with the golden records in full: three seeds, whole trainings.
	$(BIN)/python -m pytest tests/conformance --seeds 1,2,3 --full -s

lint: $(STAMP) ## Check style and types, and that generated code is fresh.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/generate_protos.py --check

format: $(STAMP) ## Mend style.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

protos: $(STAMP) ## Generate the stubs in services/turnstream/api from protos/.
	$(BIN)/python scripts/generate_protos.py

docs: $(STAMP) ## Write the reference from the code, and build the docs site in build/site.
	$(BIN)/python scripts/generate_docs.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

web: $(STAMP) ## Build the chat and the inspector of web/ into the gateway's package.
	$(BIN)/python scripts/build_web.py

test-web: $(STAMP) ## Test web/ by itself, and its pages in a real Chromium (apt-get install chromium).
	$(BIN)/python scripts/build_web.py --test
	$(BIN)/python -m pytest tests/web -rs

lock: ## Resolve the versions in requirements/ anew.
	$(PYTHON) scripts/lock.py

kafka: $(STAMP) ## Start Apache Kafka on loopback, from Maven Central; Ctrl-C stops it.
	$(BIN)/python scripts/start_kafka.py

images: $(STAMP) ## Build the container images; BASE=... is the image to build on, TAG=... their tag.
	$(BIN)/python scripts/images.py --base "$(BASE)" --tag "$(or $(TAG),dev)"

test-containers: $(STAMP) ## Test the whole system in containers; says in one line where no Docker engine can be had.
	$(BIN)/python scripts/container_tests.py

chart: $(STAMP) ## Check the Helm chart; write its table of values, settings schema and golden renders anew.
	$(BIN)/python scripts/chart.py
	$(BIN)/python tests/helm/update.py
	$(BIN)/python -m pytest tests/helm

test-cluster: $(STAMP) ## Test the chart on Kubernetes: a node of this machine, or the cluster of KUBECONFIG.
	$(BIN)/python scripts/cluster_tests.py

chaos: $(STAMP) ## Crash processes and the broker at random, 500 times (ARGS="--seed 7 --jobs 2").
	$(BIN)/python -m turnstream.testing.chaos --runs 500 $(ARGS)

fuzz: $(STAMP) ## Give hostile input to a running gateway and to every reader of bytes (SECONDS=60 SEED=7).
	$(BIN)/python -m fuzz --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED))

bench: $(STAMP) ## Measure speed and memory, as ratios against the peer's figures.
	$(BIN)/python -m benchmarks

clean: ## Remove what the targets above made.
	rm -rf $(VENV) build .cache
