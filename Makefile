# What people type. Needs Python 3.11 or newer, nothing else: no root, no Docker.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# The environment is made again when the text of the lock changes, not when its time does.
STAMP := $(VENV)/.installed-$(shell cksum < requirements.lock | cut -d ' ' -f 1)
TESTS ?= tests
BENCH := --with app.bench.extension:SERVICE

.PHONY: help install run demo chaos bench bench-quick bench-publish test check lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  QUEUES_BACKEND=dramatiq make run    the same on Dramatiq; deploy/env.example lists all settings"

install: $(STAMP) ## make the environment in .venv, with exactly what requirements.lock names

run: $(STAMP) ## start everything: servers that are not given, API, worker, scheduler; Ctrl-C ends it
	@exec $(BIN)/python -m app.run

demo: $(STAMP) ## documents through the API on both backends, each three times at once; FOLDER=... takes yours
	@exec $(BIN)/python -m app.demo $(if $(FOLDER),"$(FOLDER)")

chaos: $(STAMP) ## tasks under kills, pauses, restarts and bad networks; BACKEND= BROKER= MINUTES= SEED= SOAK=1
	@$(BIN)/python -m tests.chaos --backend $(or $(BACKEND),celery) --broker $(or $(BROKER),valkey) \
	  --seed $(or $(SEED),1) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SOAK),--soak)

bench: $(STAMP) ## task systems side by side, ten minutes or more, against the targets; report in build/bench.html
	@mkdir -p build
	@$(BIN)/queues bench --targets $(BENCH) --keep build/bench.json --html build/bench.html --picture build/bench.svg \
	  --markdown build/bench.md

bench-quick: $(STAMP) ## the same in about a minute, without peers: checks that work is done once, not the time
	@$(BIN)/queues bench --targets $(BENCH) --quick --no-peers

bench-publish: $(STAMP) ## put the figures of `make bench` into README.md and deploy/, and measure what servers carry
	@mkdir -p build
	@$(BIN)/python -m tests.benchmarks.scale > build/scale.txt
	@$(BIN)/python -m tests.benchmarks.layers > build/layers.txt
	@$(BIN)/python -m tests.benchmarks.publish

test: check ## all checks, then all tests; TESTS=tests/unit runs some
	@echo "== pytest"
	@$(BIN)/python -m pytest -n 3 --dist loadgroup --max-worker-restart 2 $(TESTS)

check: $(STAMP) ## ruff, types, and which package may import which
	@echo "== ruff check"
	@$(BIN)/ruff check .
	@echo "== ruff format"
	@$(BIN)/ruff format --check .
	@echo "== mypy --strict"
	@$(BIN)/mypy queues compat app
	@echo "== import-linter"
	@$(BIN)/lint-imports

lock: ## resolve the newest versions that fit together into requirements.lock
	@command -v uv >/dev/null || { test -x .venv-lock/bin/uv || { python3 -m venv .venv-lock; .venv-lock/bin/python -m pip install uv; }; }
	@PATH="$$PATH:.venv-lock/bin" uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes \
	  --all-extras --no-header pyproject.toml -o requirements.lock

clean: ## remove the environment, caches and builds; .data, which holds documents, stays
	@rm -rf .venv .venv-lock build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements.lock
	@found=; \
	for python in $${PYTHON:-} python3.13 python3.12 python3.11 python3; do \
	  if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    found=$$python; break; \
	  fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "onceq needs Python 3.11 or newer, with venv (on Debian: apt install python3-venv)." >&2; \
	  echo "None was found as python3.13, python3.12, python3.11 or python3. PYTHON=/path/to/python make ..." >&2; \
	  exit 1; \
	fi; \
	echo "== environment in $(VENV), with $$("$$found" --version) (once; some minutes at most)"; \
	rm -rf $(VENV); \
	"$$found" -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps -e .
	@touch $@
