"""The service's numbers for Prometheus."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
from fastapi import APIRouter, Request, Response

from api.routes.access import Reading
from api.routes.health import code_version
from api.routes.parts import Parts

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

router = APIRouter(tags=["service"])
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/plain": {"example": 'footanalytics_workers{queue="gpu"} 2.0\n'}},
        "description": "Numbers by name, in Prometheus's text format.",
    }
}


@router.get("/metrics", summary="Numbers for Prometheus", responses=_TEXT, response_class=Response)
async def metrics(request: Request, caller: Reading) -> Response:  # noqa: ARG001
    """Queues, workers, matches, the relay, storage and servers; docs/monitoring.md names them.

    What cannot be read is left out, and `footanalytics_readable` says so. Workers have a port of
    their own.
    """
    text, kind = await anyio.to_thread.run_sync(
        _text, request.app.state.metrics, limiter=request.app.state.checks
    )
    return Response(text, media_type=kind)


def registry_of(parts: Parts) -> "CollectorRegistry":
    """The numbers of the service that these are the parts of."""
    from infrastructure.telemetry.service_metrics import service_registry

    return service_registry(parts.state, parts.artifacts, parts.memory, code_version())


@contextmanager
def served(registry: "CollectorRegistry") -> Iterator[None]:
    """Serve them without a key as well, at ML_PIPELINE_METRICS_PORT, where that is set."""
    from infrastructure.settings import Settings
    from infrastructure.telemetry.serving import serve

    close = serve(registry, Settings.load())
    try:
        yield
    finally:
        close()


def _text(registry: "CollectorRegistry") -> tuple[bytes, str]:
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    return generate_latest(registry), CONTENT_TYPE_LATEST
