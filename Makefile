# Set-up and the main jobs. Everything runs inside .venv; nothing outside this folder is touched.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
# make demo DB=postgres: a PostgreSQL with pgvector of the stack's own, from a wheel; nothing is installed.
DATABASE := $(if $(filter postgres,$(DB)),--postgres)
ifneq ($(filter-out sqlite postgres,$(DB)),)
$(error DB=$(DB) is no database of the stack: write DB=postgres, or leave it out for SQLite)
endif

# Each file on one process, in the order of the configuration.
ON_TWO := -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo up test bench bench-framework bench-genai bench-contract bench-proxy bench-scale bench-settings bench-shadow bench-streams shadow-proof soak conformance contract check format lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY)  ## the whole story in about two minutes, on real processes (ARGS=--once: end by itself; ARGS=--faulty; DB=postgres)
	@$(BIN)/python -m sandbox demo $(DATABASE) $(ARGS)

up: $(READY)  ## only the processes, without the story
	@$(BIN)/python -m sandbox up $(DATABASE) $(ARGS)

test: $(READY)  ## every test, on two processes (ARGS=router: some of them, on one)
	@$(BIN)/pytest $(or $(ARGS),$(ON_TWO))

bench: bench-genai bench-proxy bench-settings bench-shadow bench-streams bench-framework bench-contract bench-scale  ## every benchmark, one after the other (not the soak)

bench-genai: $(READY)  ## 500 requests at once that wait 1–4 s for a model: sync workers, threads, ASGI, the extracted service
	@$(BIN)/python -m benchmarks.genai $(ARGS)

bench-framework: $(READY)  ## what frameworks cost per request, and how long a cold start takes
	@$(BIN)/python -m benchmarks.framework $(ARGS)

bench-scale: $(READY)  ## workers, thousands of open streams, a million comparisons on SQLite and PostgreSQL
	@$(BIN)/python -m benchmarks.scale $(ARGS)

bench-proxy: $(READY)  ## CPU per request, per event and latency beside nginx, HAProxy, Envoy, Caddy, Node … whichever are here
	@$(BIN)/python -m benchmarks.proxy $(ARGS)

bench-settings: $(READY)  ## the router beside itself: routes, traces and copies, in CPU per request
	@$(BIN)/python -m benchmarks.settings $(ARGS)

bench-contract: $(READY)  ## generated contract cases per second, and what the time goes into
	@$(BIN)/python -m benchmarks.contract $(ARGS)

bench-streams: $(READY)  ## 500 open streams through router and service, one worker each
	@$(BIN)/python -m benchmarks.streams $(ARGS)

bench-shadow: $(READY)  ## what callers notice of shadowing when the candidate hangs, drips, never ends, floods, dies
	@$(BIN)/python -m benchmarks.shadow $(ARGS)

shadow-proof: $(READY)  ## a thousand exchanges with a copy each: identical sides are found identical, at no provider call
	@IDENTICAL_EXCHANGES=1000 $(BIN)/pytest -s --timeout 900 contract_tests/tests/test_identical.py $(ARGS)

soak: $(READY)  ## a million requests of every kind, faults among them: memory, tasks, descriptors (ARGS=--smoke: seconds)
	@$(BIN)/python -m benchmarks.soak $(ARGS)

conformance: $(READY)  ## the router, and nginx, HAProxy, Envoy and Caddy where installed, put to every case (ARGS=--deep)
	@$(BIN)/python -m router.tests.conformance $(ARGS)

contract: $(READY)  ## every request to every side, compared (ARGS=--deep: thousands of others, each time)
	@$(BIN)/pytest contract_tests/tests/test_sides.py $(ARGS)

check: $(READY)  ## ruff, mypy, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY)  ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock:  ## pin the newest versions that pyproject.toml allows (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-header --quiet --upgrade -o requirements.lock

clean:  ## forget .venv and everything the stack wrote
	rm -rf .venv var

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "Python was not found as '$(PYTHON)'. Install Python 3.11 or newer, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Python {v[0]}.{v[1]} is too old: this needs 3.11 or newer. Name another: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python has no venv module. On Debian or Ubuntu: apt install python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the pinned packages into .venv (once; about a minute) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
