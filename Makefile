# Everything starts from a fresh clone with Python 3.11+; each target sets up what it needs.
PYTHON ?= python3
HOST ?= $(or $(VERBATIM_SERVER__HOST),127.0.0.1)
PORT ?= $(or $(VERBATIM_SERVER__PORT),8000)
VENV := .venv
RUN := $(VENV)/.runtime
DEV := $(VENV)/.development
DEBIAN := $(VENV)/.debian
TRAINING := training/work/.venv
VOICES := espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts
PRESET ?= cpu

.PHONY: run test lint bench lock clean starter-data starter-train starter-eval starter-test

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

lock: $(DEV)  ## renew the lock files
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q pyproject.toml -o requirements.txt
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q -c requirements.txt --group dev -o requirements-dev.txt
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q -c requirements.txt -c requirements-dev.txt \
		training/requirements.in -o training/requirements.txt

starter-data: $(TRAINING)/.ready $(TRAINING)/.voices  ## speak the starter's training data; DIGITS= names the digits' archive
	$(TRAINING)/bin/python -m training.data --preset $(PRESET) $(if $(DIGITS),--digits $(DIGITS))

starter-train: $(TRAINING)/.ready  ## train the starter or go on, PRESET=gpu on a GPU
	$(TRAINING)/bin/python -m training.train --preset $(PRESET) $(ARGS)
	$(TRAINING)/bin/python -m training.curve --preset $(PRESET)

starter-eval: $(TRAINING)/.ready  ## export the checkpoint to training/work/model and measure it
	$(TRAINING)/bin/python -m training.export --preset $(PRESET) training/work/model
	$(TRAINING)/bin/python -m training.evaluation training/work/model --output training/work/figures.json $(ARGS)

starter-test: $(TRAINING)/.ready  ## the tests that need torch
	$(TRAINING)/bin/python -m pytest training/tests $(ARGS)

clean:
	rm -rf $(VENV) $(TRAINING) .pytest_cache .mypy_cache .ruff_cache

$(RUN): requirements.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

$(DEV): requirements-dev.txt $(RUN)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@

$(TRAINING)/.ready: training/requirements.txt $(DEV)
	$(VENV)/bin/uv venv --quiet --allow-existing --python $(VENV)/bin/python $(TRAINING)
	$(VENV)/bin/uv pip install --quiet --python $(TRAINING)/bin/python --require-hashes -r $<
	touch $@

$(TRAINING)/.voices: $(TRAINING)/.ready
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq $(VOICES); \
	else for program in espeak-ng flite festival; do command -v $$program >/dev/null \
		|| { echo "missing: $$program; Debian packages: $(VOICES)"; exit 1; }; done; fi
	touch $@
