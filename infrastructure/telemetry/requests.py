"""The trace that a request belongs to, for whatever is done in its name."""

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from application.trace_context import CALLER, TraceContext

_LONGEST = 128


class CallersTrace:
    """Middleware: takes the caller's `traceparent`, if it is a legal one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = _traceparent(scope) if scope["type"] == "http" else ""
        place = TraceContext.parse(caller) if caller else None
        if place is None:
            await self._app(scope, receive, send)
            return
        token = CALLER.set(caller)
        try:
            with structlog.contextvars.bound_contextvars(trace_id=place.trace_id):
                await self._app(scope, receive, send)
        finally:
            CALLER.reset(token)


def _traceparent(scope: Scope) -> str:
    """One header; with several of them the trace is unclear, and there is none."""
    found = [value for name, value in scope["headers"] if name == b"traceparent"]
    if len(found) != 1 or len(found[0]) > _LONGEST:
        return ""
    return bytes(found[0]).decode("latin-1").strip()
