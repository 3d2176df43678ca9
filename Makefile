# The commands of the README, and the few others. Nothing is installed outside .venv.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# Tests that talk to whole servers: what they run is covered by the tests of its parts, and they are about time.
WHOLE := tests/e2e tests/reliability tests/deployment tests/bench
# Tests that switch greenlets in their own process: see [coverage:run] in setup.cfg.
SWITCHING := tests/test_sending.py
# What has neither clock nor network, and therefore no excuse.
CORE := o2o/errors.py,o2o/schemas/*,o2o/setting_kinds.py,o2o/sse.py,o2o/translate/*,o2o/upstream/ndjson.py
.DEFAULT_GOAL := help

# A .venv whose interpreter is gone (moved, upgraded away) is made anew.
ifneq ($(wildcard $(VENV)),)
ifneq ($(shell $(BIN)/python -c 'print("works")' 2>/dev/null),works)
$(shell rm -rf $(VENV))
endif
endif

.PHONY: help setup run test cover check bench bench-quick soak lock

help: ## Show this help
	@echo "o2o: OpenAI's API on top of Ollama"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1  \2/p' $(MAKEFILE_LIST)
	@echo
	@echo "Settings are variables: PORT=8001 make run. All of them: docs/configuration.md"

setup: $(VENV)/.run-ready $(VENV)/.dev-ready ## Make .venv with everything for running and testing

run: $(VENV)/.run-ready ## Start o2o; without an Ollama it answers from a practice one
	@exec $(BIN)/python -m o2o serve --practice-if-absent

test: $(VENV)/.dev-ready ## Lint, types, layers and tests with coverage; needs no Ollama
	@$(call timed,ruff check,$(BIN)/ruff check .)
	@$(call timed,ruff format,$(BIN)/ruff format --check .)
	@$(call timed,mypy,$(BIN)/mypy)
	@$(call timed,import-linter,$(BIN)/lint-imports --config setup.cfg --no-cache)
	@$(MAKE) --no-print-directory cover
	@$(call timed,tests of the whole,$(BIN)/python -m pytest -q --durations=5 $(WHOLE))
	@$(call timed,the whole on its plain ways,TEST_PLAIN=1 $(BIN)/python -m pytest -q tests/e2e)

cover: $(VENV)/.dev-ready ## The tests of parts alone, and how much of the code they run
	@rm -f .coverage .coverage.*
	@$(call timed,tests of parts,$(BIN)/coverage run --concurrency=thread -m pytest -q --durations=5 \
	  $(WHOLE:%=--ignore=%) $(SWITCHING:%=--ignore=%))
	@$(call timed,tests that switch greenlets,$(BIN)/coverage run -m pytest -q $(SWITCHING))
	@$(call timed,coverage of everything,$(BIN)/coverage combine -q && $(BIN)/coverage report)
	@$(call timed,coverage of the core,$(BIN)/coverage report --include='$(CORE)' --fail-under=100)

check: $(VENV)/.run-ready ## Ask whether Ollama, its models and the settings are in order
	@$(BIN)/python -m o2o check

bench: $(VENV)/.dev-ready ## Measure o2o side by side with what else there is
	@$(BIN)/python -m bench

bench-quick: $(VENV)/.dev-ready ## The same in a minute or two
	@$(BIN)/python -m bench --quick

soak: $(VENV)/.dev-ready ## Measure what is promised when things go wrong, for an hour; SOAK="--scale 0.1 --minutes 5" is shorter
	@$(BIN)/python -m bench.soak $(SOAK)

lock: ## Pin all dependencies anew (needs uv, the Python package manager)
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --upgrade \
	  --custom-compile-command 'make lock' --extra build -o requirements.lock setup.cfg
	uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --upgrade \
	  --custom-compile-command 'make lock' --extra build --extra dev -c requirements.lock \
	  -o requirements-dev.lock setup.cfg

# $(call timed,name,command) runs the command and says how long it took.
define timed
start=$$(date +%s); if $(2); then echo "== $(1): ok, $$(( $$(date +%s) - start )) s"; \
else status=$$?; echo "== $(1): FAILED after $$(( $$(date +%s) - start )) s" >&2; exit $$status; fi
endef

$(VENV)/.run-ready: requirements.lock setup.cfg pyproject.toml
	@$(find-python); \
	  if [ ! -x $(BIN)/python ]; then \
	    echo "Making $(VENV) with $$($$python --version)"; $$python -m venv $(VENV) || exit 1; fi
	@echo "Installing what o2o needs (requirements.lock)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev-ready: $(VENV)/.run-ready requirements-dev.lock
	@echo "Installing the tools for tests (requirements-dev.lock)"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# PYTHON=... make setup chooses one; otherwise the first that is new enough and can make a venv.
define find-python
python=; for candidate in "$(PYTHON)" python3 python3.14 python3.13 python3.12 python3.11 python3.10; do \
    if [ -n "$$candidate" ] && "$$candidate" -c \
      'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; \
    then python=$$candidate; break; fi; done; \
  if [ -z "$$python" ]; then \
    echo "o2o needs Python 3.10 or newer with its venv module, and found none." >&2; \
    echo "Debian, Ubuntu: sudo apt install python3-venv. macOS: brew install python." >&2; \
    echo "Another one: PYTHON=/path/to/python3 make $(firstword $(MAKECMDGOALS))" >&2; exit 1; fi
endef
