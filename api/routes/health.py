"""How the service is: alive, ready, and what it consists of."""

import asyncio
import hashlib
import logging
import platform
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import anyio
from fastapi import APIRouter, Request, Response

from api.routes.access import Reading, caller_of
from api.routes.parts import Dependency, TheParts
from api.schemas.documented import problems
from api.schemas.service import Alive, DependencyHealth, Health, Version
from application.state import StateStore
from domain.errors import FootAnalyticsError

router = APIRouter(tags=["service"])
_log = logging.getLogger(__name__)
PATIENCE_S = 3.0
_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"model": Health, "description": "Something that it needs is away."}
}


@router.get("/health/live", summary="Is the process alive?")
async def live() -> Alive:
    """It answers as long as the process does, whatever else is away."""
    return Alive()


@router.get("/health/ready", summary="Can it take requests?", responses=_NOT_READY)
async def ready(request: Request, parts: TheParts, response: Response) -> Health:
    """What it cannot do without; 503 where something of that is away."""
    required = [each for each in parts.dependencies if each.required]
    return await _health(required, request, response)


@router.get("/health", summary="How is everything?", responses=_NOT_READY)
async def health(request: Request, parts: TheParts, response: Response) -> Health:
    """Everything that it needs, by name."""
    return await _health(parts.dependencies, request, response)


@router.get("/version", summary="What runs here?", responses=problems(503))
def what_runs(parts: TheParts, _: Reading) -> Version:
    """The code, the stages, the models and, of live workers, the backends."""
    return Version(
        version=code_version(),
        python=platform.python_version(),
        stages=_stages(),
        models=_models(),
        backends=_backends(parts.state),
    )


def code_version() -> str:
    try:
        return version("footanalytics")
    except PackageNotFoundError:
        return "0"


async def _health(
    dependencies: Sequence[Dependency], request: Request, response: Response
) -> Health:
    found = await asyncio.gather(
        *(_checked(each, request.app.state.checks) for each in dependencies)
    )
    if not caller_of(request).may("read"):  # names and yes or no are enough for strangers
        found = [each.model_copy(update={"detail": ""}) for each in found]
    status = "ready" if all(each.ok for each in found) else "degraded"
    if any(each.required and not each.ok for each in found):
        status, response.status_code = "failing", 503
    return Health(status=status, dependencies=found)


async def _checked(dependency: Dependency, limiter: anyio.CapacityLimiter) -> DependencyHealth:
    """One that does not answer in time is away; its thread ends by itself."""
    began = time.perf_counter()
    ok = False
    try:
        with anyio.fail_after(PATIENCE_S):
            detail = await anyio.to_thread.run_sync(
                dependency.check, abandon_on_cancel=True, limiter=limiter
            )
        ok = True
    except FootAnalyticsError as error:
        detail = str(error)
    except TimeoutError:
        detail = f"no answer within {PATIENCE_S:g} s"
    except Exception as error:  # the check's edge: whatever breaks it, the answer names it
        _log.exception("health of %s", dependency.name)
        detail = f"its check broke ({type(error).__name__})"
    took_ms = round((time.perf_counter() - began) * 1000, 1)
    return DependencyHealth(
        name=dependency.name,
        ok=ok,
        required=dependency.required,
        detail=detail,
        milliseconds=took_ms,
    )


@lru_cache(1)
def _stages() -> Mapping[str, int]:
    from infrastructure.catalogue import known, load

    return {name: load(name).version for name in known()}


@lru_cache(1)
def _models() -> Mapping[str, str]:
    from infrastructure.planning import models_folder

    files = sorted(models_folder().glob("*.onnx"))
    return {path.name: _sha256(path) for path in files}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _backends(state: StateStore) -> list[str]:
    able = {word for worker in state.workers() for word in worker.able}
    return sorted(word.removeprefix("runs:") for word in able if word.startswith("runs:"))
