# `make help` lists the targets. Every command of the README is a target here.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CONFIG ?= configs/trec.yaml
ARGS ?=
IMAGE ?= localhost/training-pipeline:latest
UV_VERSION := 0.13.9
PYTHON := .venv/bin/python
READY := .venv/.ready
BENCH_READY := .venv-bench/.ready
# Isolate the environment from the user's: no user packages, no downloaded Python.
export PYTHONNOUSERSITE := 1
export UV_PYTHON_DOWNLOADS := never
export UV_LINK_MODE ?= copy
export TF_USE_LEGACY_KERAS := 1

.PHONY: help setup data run serve tfjs test test-full lint format bench image test-containers clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Install the locked environment into .venv (instant when done)

$(READY): pyproject.toml uv.lock setup_environment.sh
	@./setup_environment.sh $(UV_VERSION) .venv --frozen --no-install-project
	@touch $@

data: $(READY) ## Create the three datasets from their recipes, and download the checkpoint
	@$(PYTHON) runner_local.py data $(ARGS)

run: $(READY) ## Run the whole pipeline: CONFIG=configs/trec.yaml ARGS="--set train.epochs=1"
	@$(PYTHON) runner_local.py run $(CONFIG) $(ARGS)

serve: $(READY) ## Serve the pushed model, REST and gRPC: ARGS="--port 8501 --grpc-port 8500"
	@$(PYTHON) runner_local.py serve $(CONFIG) $(ARGS)

tfjs: $(READY) ## Install what the TensorFlow.js export needs into .venv-tfjs (the first export does so too)
	@$(PYTHON) -m components.exports.tfjs.environment

test: $(READY) ## Run all tests: ARGS="-k name" for some
	@./run_tests.sh $(PYTHON) $(ARGS)

test-full: $(READY) ## Run all tests with the longer proofs (latest figures: docs/test_full.md)
	@TESTS=full ./run_tests.sh $(PYTHON) $(ARGS)

lint: $(READY) ## Run ruff (lint and format) and mypy
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy

format: $(READY) ## Fix and format the code with ruff
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

bench: $(READY) $(BENCH_READY) ## Compare with the peers in one run: QUICK=1 for a short one
	@$(PYTHON) -m benchmarks $(if $(QUICK),--quick) $(ARGS)

$(BENCH_READY): benchmarks/requirements.txt setup_environment.sh
	@./setup_environment.sh $(UV_VERSION) .venv-bench --requirements benchmarks/requirements.txt
	@touch $@

image: ## Build the container image: IMAGE=registry/name:tag
	@deploy/image/build.sh $(IMAGE) $(ARGS)

test-containers: data ## Run the compiled pipeline in containers of the image (needs podman and runc)
	@deploy/image/test_containers.sh $(PYTHON) $(IMAGE)

clean: ## Remove the runs and the served models after confirmation; keep datasets and environments
	@read -r -p "Remove runs/ and serving/? [y/N] " answer && [ "$$answer" = y ] && rm -rf runs serving
