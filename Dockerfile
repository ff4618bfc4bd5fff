# docker build --target development|production|worker|beat|relay -t footanalytics-TARGET .
# All of them run as user 10001; /data is theirs to keep.

FROM python:3.11.14-slim-bookworm AS base
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MODEL_CACHE_DIR=/data/models \
    ARTIFACT_CACHE_DIR=/data/cache
RUN apt-get update \
    && apt-get install -y --no-install-recommends ffmpeg libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home footanalytics \
    && install -d -o footanalytics -g footanalytics /data /videos \
    && python -m venv /opt/venv
WORKDIR /data

# The wheel is built apart: what changes with each commit is the last and smallest layer.
FROM base AS wheel
WORKDIR /src
COPY deploy/images/wheel.lock /tmp/wheel.lock
RUN pip install --no-cache-dir --require-hashes -r /tmp/wheel.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY domain domain
COPY application application
COPY infrastructure infrastructure
COPY stages stages
COPY api api
COPY simulation simulation
COPY evaluation evaluation
COPY training training
COPY models models
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

# -- what serves, without torch and ultralytics
FROM base AS service
COPY deploy/images/service.lock /tmp/service.lock
RUN pip install --no-cache-dir --require-hashes -r /tmp/service.lock
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-cache-dir --no-deps /wheels/*.whl
USER 10001
VOLUME /data

FROM service AS production
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["python", "-m", "infrastructure.health", "api"]
CMD ["sh", "-c", "exec uvicorn api.main:app --host 0.0.0.0 --port \"${ML_PIPELINE_PORT:-8000}\" --workers \"${ML_PIPELINE_WORKERS:-1}\""]

FROM service AS beat
HEALTHCHECK --interval=30s --timeout=15s --start-period=30s CMD ["python", "-m", "infrastructure.health", "beat"]
CMD ["python", "-m", "celery", "-A", "infrastructure.celery_app", "beat"]

FROM service AS relay
HEALTHCHECK --interval=30s --timeout=15s --start-period=30s CMD ["python", "-m", "infrastructure.health", "relay"]
CMD ["python", "-m", "infrastructure.relay"]

# -- what computes: on CUDA where the host lends a device, else on the cores
FROM base AS worker
# Asks the host's NVIDIA runtime for the driver; CUDA's libraries come with the packages.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY deploy/images/worker.lock /tmp/worker.lock
RUN pip install --no-cache-dir --require-hashes -r /tmp/worker.lock
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels pip install --no-cache-dir --no-deps /wheels/*.whl
USER 10001
VOLUME /data
HEALTHCHECK --interval=30s --timeout=15s --start-period=90s CMD ["python", "-m", "infrastructure.health", "worker"]
CMD ["python", "-m", "celery", "-A", "infrastructure.celery_app", "worker", "-Q", "gpu", "--pool", "solo"]

# -- all of it with the tests' tools: API and progress (8765) in one container
FROM base AS development
COPY requirements.lock /tmp/requirements.lock
RUN pip install --no-cache-dir --require-hashes -r /tmp/requirements.lock
WORKDIR /app
COPY --chown=10001:10001 . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000 8765
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "-m", "infrastructure.health", "api"]
CMD ["footanalytics", "serve", "--host", "0.0.0.0", "--videos", "/videos"]
