"""What the caller of a route may: its scopes, and whose matches are there for it.

Who it is, the gate has found out (api/security/gate.py); without the gate nobody may anything.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends
from fastapi.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from api.problems import ProblemError
from api.routes.parts import Parts, known_id
from api.security.callers import Caller
from application.api_keys import Scope
from domain.errors import UnknownPipelineError

__all__ = ["Caller", "Operating", "Reading", "Submitting", "owner_seen_by", "watching"]


def caller_of(connection: HTTPConnection) -> Caller:
    caller = connection.scope.get("state", {}).get("caller")
    return caller if isinstance(caller, Caller) else Caller()


def _needs(scope: Scope) -> Callable[[HTTPConnection], Awaitable[Caller]]:
    """A dependency: the caller, who has the scope and may know of the match in the path."""

    async def needed(connection: HTTPConnection) -> Caller:
        caller = caller_of(connection)
        if not caller.may(scope):
            text = f"this key lacks the scope {scope}: ask the operator for one that has it"
            raise ProblemError(403, "lacks-scope", text)
        if "pipeline_id" in connection.path_params:
            await _refuse_foreign(connection, caller, connection.path_params["pipeline_id"])
        return caller

    return needed


async def watching(connection: HTTPConnection, pipeline_id: str) -> None:
    """For WebSockets, whose routes answer by closing.

    Raises:
        UnknownPipelineError: the match is not there, or not for this caller.
    """
    caller = caller_of(connection)
    if not caller.may("read"):
        raise UnknownPipelineError(f"there is no pipeline {pipeline_id[:64]}")
    await _refuse_foreign(connection, caller, pipeline_id)


async def _refuse_foreign(connection: HTTPConnection, caller: Caller, pipeline_id: str) -> None:
    """Another owner's match is as good as none."""
    if caller.sees_all:
        return
    parts: Parts = connection.app.state.parts
    record = await run_in_threadpool(parts.queries.record, known_id(pipeline_id))
    if record.owner != caller.owner:
        raise UnknownPipelineError(f"there is no pipeline {pipeline_id}")


def owner_seen_by(caller: Caller, asked: str | None) -> str | None:
    """Whose matches are listed; None for everybody's.

    Raises:
        ProblemError: another owner's were asked for.
    """
    if caller.sees_all:
        return asked
    if asked not in {None, caller.owner}:
        raise ProblemError(403, "foreign-owner", "this key sees its owner's matches alone")
    return caller.owner


Reading = Annotated[Caller, Depends(_needs("read"))]
Submitting = Annotated[Caller, Depends(_needs("submit"))]
Operating = Annotated[Caller, Depends(_needs("operate"))]
