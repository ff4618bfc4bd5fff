"""What the routes work with; whoever runs the application fills it in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from api.security.guard import Rules
from application.ledger import Ledger
from application.ports import ArtifactStore
from application.queries import Queries
from application.service import Service
from application.state import StateStore
from domain.errors import UnknownPipelineError

UPLOAD_BYTES = 20 << 30


@dataclass(frozen=True)
class Dependency:
    """Something that the service needs; `check` says how it is, or raises FootAnalyticsError.

    Without one that is not `required` the service still answers, but work may stand still.
    """

    name: str
    check: Callable[[], str]
    required: bool = True


@dataclass(frozen=True)
class Parts:
    """One running service.

    Paths of inputs must lie in `video_roots`. Uploads go to the folder `uploads`, which all
    workers see; None where there is none. `recover` is called when the state is lost. `memory`
    tells, of each server, the memory in use and its limit.
    """

    state: StateStore
    artifacts: ArtifactStore
    ledger: Ledger
    service: Service
    dependencies: Sequence[Dependency]
    recover: Callable[[], None]
    video_roots: Sequence[Path] = ()
    uploads: Path | None = None
    upload_bytes: int = UPLOAD_BYTES
    rules: Rules = field(default_factory=Rules)
    memory: Callable[[], Mapping[str, tuple[float, float]]] = dict

    @cached_property
    def queries(self) -> Queries:
        return Queries(self.state, self.artifacts, self.ledger)


# Dependencies are async so that they cost no change of thread.


async def parts_of(request: Request) -> Parts:
    return request.app.state.parts  # type: ignore[no-any-return]


def known_id(pipeline_id: str) -> str:
    """Only what can be an id reaches a store.

    Raises:
        UnknownPipelineError: it cannot be one.
    """
    if len(pipeline_id) != 32 or not set(pipeline_id) <= set("0123456789abcdef"):
        raise UnknownPipelineError(f"there is no pipeline {pipeline_id[:64]}")
    return pipeline_id


TheParts = Annotated[Parts, Depends(parts_of)]


async def _known_id(pipeline_id: str) -> str:
    return known_id(pipeline_id)


PipelineId = Annotated[str, Depends(_known_id)]
