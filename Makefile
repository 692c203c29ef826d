# Everything starts from a fresh clone with Python 3.11+; each target sets up what it needs.
PYTHON ?= python3
HOST ?= $(or $(VERBATIM_SERVER__HOST),127.0.0.1)
PORT ?= $(or $(VERBATIM_SERVER__PORT),8000)
VENV := .venv
RUN := $(VENV)/.runtime
DEV := $(VENV)/.development
DEBIAN := $(VENV)/.debian

.PHONY: run test lint bench soak lock clean

run: $(RUN)  ## start the server with the embedded model
	VERBATIM_SERVER__HOST=$(HOST) VERBATIM_SERVER__PORT=$(PORT) $(VENV)/bin/python -m app

test: $(DEV) lint  ## run every test
	$(VENV)/bin/python -m pytest $(ARGS)

lint: $(DEV)  ## ruff and mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(DEV)  ## measure the server against its baselines, e.g. make bench ARGS="--dims tiny"
	$(VENV)/bin/python -m bench $(ARGS)

soak: $(DEV)  ## thousands of mixed requests, and what they leave behind
	$(VENV)/bin/python -m bench.soak $(ARGS)

lock: $(DEV)  ## renew both lock files
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q pyproject.toml -o requirements.txt
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q -c requirements.txt --group dev -o requirements-dev.txt

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

$(RUN): requirements.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

$(DEV): requirements-dev.txt $(RUN)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@
