"""The HTTP API: `uvicorn api.main:app` on a cluster, `create_app(parts)` for whoever has parts."""

import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from anyio import CapacityLimiter
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi_offline import FastAPIOffline
from starlette.types import Scope

from api.problems import handle_errors
from api.routes import (
    health,
    metrics,
    pictures,
    pipelines,
    progress,
    results,
    submissions,
    tickets,
    uploads,
)
from api.routes.limits import BODY_BYTES, BODY_PATIENCE_S, BodyLimit
from api.routes.parts import UPLOAD_BYTES, Dependency, Parts
from api.schemas.documented import document
from api.security import audit
from api.security.gate import PAGE_FILES, Gate
from api.security.guard import Guard, Rules
from api.security.origins import CrossOrigin
from domain.errors import FootAnalyticsError, ResourceError, StateLostError
from domain.grid import Queue
from infrastructure.telemetry.requests import CallersTrace

if TYPE_CHECKING:
    from application.ports import ArtifactStore
    from application.state import StateStore
    from infrastructure.bootstrap.cluster import Cluster
    from infrastructure.invitations import Invitations
    from infrastructure.settings import Settings

_log = logging.getLogger(__name__)
_ROUTERS = [
    module.router
    for module in (
        submissions,
        uploads,
        pipelines,
        results,
        pictures,
        progress,
        tickets,
        health,
        metrics,
    )
]
_CHECKS_AT_ONCE = 16
"""Threads of their own: checks that hang must not keep requests waiting."""
_FORM_BYTES = 1 << 20
"""What a form has around its file."""
_QUEUES: Sequence[Queue] = ("gpu", "cpu")


def create_app(parts: Parts | None = None) -> FastAPI:
    """The application over `parts`; without any, over the cluster that the settings name."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as stack:
            app.state.parts = parts or await run_in_threadpool(stack.enter_context, cluster_parts())
            made = app.state.parts
            audit.prepare()
            app.state.guard = Guard(made.rules, made.artifacts, made.state)
            app.state.metrics = metrics.registry_of(made)
            if parts is None:
                stack.enter_context(metrics.served(app.state.metrics))
            app.state.pictures = CapacityLimiter(pictures.AT_ONCE)
            app.state.checks = CapacityLimiter(_CHECKS_AT_ONCE)
            try:
                yield
            finally:
                await app.state.guard.close()

    app = FastAPIOffline(  # the page /docs brings its own script and style: no other host is asked
        title="FootAnalytics",
        version=health.code_version(),
        lifespan=lifespan,
        redoc_url=None,
        static_url=PAGE_FILES,
    )
    for router in _ROUTERS:
        app.include_router(router)
    handle_errors(app, _recover)
    app.add_middleware(BodyLimit, limit_of=_limit_of, patience_s=BODY_PATIENCE_S)
    app.add_middleware(CallersTrace)
    app.add_middleware(Gate)
    app.add_middleware(CrossOrigin)  # the last added is the first asked
    app.openapi = lambda: document(app, _ROUTERS)  # type: ignore[method-assign]
    return app


@contextmanager
def cluster_parts() -> Iterator[Parts]:
    """State, storage and queues as the settings name them.

    What is away only makes the service not ready. A state that was never begun is begun here.
    """
    from infrastructure.bootstrap import cluster as bootstrap
    from infrastructure.celery_app import app as celery
    from infrastructure.invitations import Invitations
    from infrastructure.settings import Settings
    from infrastructure.storage.folder import FolderArtifactStore
    from infrastructure.telemetry.logs import configure
    from infrastructure.telemetry.redis_memory import redis_memory
    from infrastructure.telemetry.traces import flush

    try:
        settings = Settings.load()
        configure(settings.ml_pipeline_log_level, "api")
        cluster = bootstrap.connect(settings)
        invitations = Invitations(celery)
        service = bootstrap.service(cluster, invitations)
    except FootAnalyticsError as error:
        print(f"footanalytics: {error}", file=sys.stderr)
        os._exit(error.exit_code)  # an exception would leave by a page of uvicorn's own frames
    artifacts = cluster.artifacts
    root = artifacts.root.absolute() if isinstance(artifacts, FolderArtifactStore) else None
    rebuild = partial(_rebuild, cluster, invitations)
    try:
        rebuild()
    except ResourceError as error:
        _log.error("%s", error)
    try:
        yield Parts(
            cluster.state,
            artifacts,
            cluster.ledger,
            service,
            (
                Dependency("redis", lambda: _redis(settings, cluster.state)),
                Dependency("storage", lambda: storage(artifacts)),
                Dependency("broker", lambda: _broker(invitations)),
                *workers(cluster.state),
            ),
            rebuild,
            settings.ml_pipeline_video_roots,
            root / "uploads" if root else None,
            rules=Rules.of(settings, settings.redis_url),
            memory=partial(redis_memory, settings),
        )
    finally:
        flush()  # uvicorn ends by the signal that it got, and nothing runs at its exit
        cluster.state.close()


def storage(artifacts: "ArtifactStore") -> str:
    """Raises ResourceError where the storage does not answer."""
    artifacts.read_record("generation")
    free = artifacts.free_bytes()
    return "answers" if free is None else f"{free / 1e9:,.1f} GB free"


def workers(state: "StateStore") -> Sequence[Dependency]:
    """For each queue, whether somebody works on it."""
    return [
        Dependency(f"workers {queue}", lambda queue=queue: _workers(state, queue), required=False)  # type: ignore[misc]
        for queue in _QUEUES
    ]


def _workers(state: "StateStore", queue: Queue) -> str:
    count = sum(queue in worker.queues for worker in state.workers())
    if not count:
        raise ResourceError("no live worker: start one")
    return f"{count} live"


def _redis(settings: "Settings", state: "StateStore") -> str:
    from infrastructure.bootstrap.cluster import check_cluster

    warnings = check_cluster(settings)
    state.ready("cpu")
    return "; ".join(["answers", *warnings])


def _broker(invitations: "Invitations") -> str:
    waiting = {queue: invitations.waiting(queue) for queue in _QUEUES}
    if not all(waiting.values()):
        raise ResourceError("the broker does not answer: matches are kept and wait")
    return ", ".join(f"{sum(each.values())} wait for {queue}" for queue, each in waiting.items())


def _rebuild(cluster: "Cluster", invitations: "Invitations") -> None:
    """Fill the state from storage, as a worker would, if it has forgotten everything."""
    from application.reconciler import Reconciler
    from infrastructure.matches import MatchCache

    try:
        cluster.state.ready("cpu")
    except StateLostError:
        Reconciler(
            cluster.state,
            cluster.artifacts,
            cluster.ledger,
            MatchCache(cluster.state, cluster.artifacts, threads=1),
            invitations.send,
            invitations.waiting,
            cluster.settings.match_time_limit_seconds,
        ).rebuild()


async def _recover(request: Request) -> None:
    """The state is lost: rebuild it; the client is asked to come again."""
    try:
        await run_in_threadpool(request.app.state.parts.recover)
    except FootAnalyticsError as error:
        _log.warning("%s", error)


def _limit_of(scope: Scope) -> int:
    if scope["path"] == "/api/v1/upload" and scope["method"] == "POST":
        parts: Parts | None = getattr(scope["app"].state, "parts", None)
        return (parts.upload_bytes if parts else UPLOAD_BYTES) + _FORM_BYTES
    return BODY_BYTES


app = create_app()
