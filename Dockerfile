# The image of every step of the compiled pipeline, and of the model server: docs/containers.md.
# BASE: an image with Python 3.11. `deploy/image/build.sh --from-debian` makes one without a registry.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS environment
# For networks with their own index or certificates; build-args, never part of the image.
ARG PIP_INDEX_URL
ARG UV_DEFAULT_INDEX
ARG PIP_CERT
ARG SSL_CERT_FILE
ARG UV_VERSION
WORKDIR /app
COPY deploy/image/install.sh deploy/image/install.sh
RUN deploy/image/install.sh compiler
COPY pyproject.toml uv.lock setup_environment.sh ./
RUN deploy/image/install.sh environment "${UV_VERSION}"

FROM environment AS project
ARG PIP_INDEX_URL
ARG PIP_CERT
# TFJS=1 also installs what the TensorFlow.js export needs, with its own Node.js (docs/tfjs.md).
ARG TFJS
ARG NPM_CONFIG_REGISTRY
ARG NODE_EXTRA_CA_CERTS
COPY . /project
RUN deploy/image/install.sh project /project

FROM ${BASE}
# Group 0 owns what steps write to, for clusters that run images under a random user of that group.
# /gcs, /s3 and /minio are where Kubeflow's launcher keeps artifacts, as this user.
RUN useradd --uid 10001 --gid 0 --create-home pipeline \
    && mkdir -p /gcs /s3 /minio \
    && chown 10001:0 /gcs /s3 /minio \
    && chmod -R g=u /gcs /s3 /minio /home/pipeline
COPY --from=environment /app/.venv /app/.venv
COPY --from=project /project /app
ENV PATH=/app/.venv/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/home/pipeline \
    HF_HUB_OFFLINE=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=2 \
    TF_USE_LEGACY_KERAS=1
WORKDIR /app
USER 10001:0
# The command that `runner_kubeflow.py compile` puts into every step, with the step's own arguments.
CMD ["python", "-m", "pipeline.kubeflow.entrypoint", "--help"]
