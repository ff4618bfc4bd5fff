"""The gate: every request and every WebSocket passes here first."""

import re
from urllib.parse import parse_qsl, urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem
from api.security import audit, origins
from api.security.callers import Caller, address_of, headers_of
from api.security.guard import Guard, RefusedError

PAGE_FILES = "/docs/files"
OPEN = frozenset(
    {
        *("/health", "/health/live", "/health/ready", "/docs", "/openapi.json"),
        *(f"{PAGE_FILES}/{name}" for name in ("swagger-ui-bundle.js", "swagger-ui.css")),
        f"{PAGE_FILES}/favicon.png",
    }
)
"""What anybody may see: an orchestrator has no key, and the documents are no secret."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_BRINGS_WORK = frozenset({"/api/v1/process-video", "/api/v1/upload"})
_WATCHED = re.compile(r"/api/v1/pipeline/[^/]+/(progress|events)")
_PIPELINE = re.compile(r"/api/v1/pipeline/([0-9a-f]{32})(?:/|$)")


class Gate:
    """Finds out who calls, and lets through whom the guard of the application lets."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        ticket = _without_ticket(scope)
        caller = Caller(address=address_of(scope))
        try:
            caller = await _admitted(scope, scope["app"].state.guard, ticket)
        except RefusedError as refusal:
            _record(scope, caller, refusal.status)
            await _refuse(scope, receive, send, refusal)
            return
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, _recording(scope, caller, send))


async def _admitted(scope: Scope, guard: Guard, ticket: str) -> Caller:
    if _changes(scope) and origins.is_foreign(headers_of(scope), guard.rules.allowed_origins):
        text = "this page is not the service's own: name it in ML_PIPELINE_ALLOWED_ORIGINS"
        raise RefusedError(403, "foreign-origin", text)
    caller = await guard.caller(scope, ticket if _WATCHED.fullmatch(scope["path"]) else "")
    if caller is None:
        if scope["path"] not in OPEN:
            text = "send an API key in the header Authorization: Bearer KEY"
            raise RefusedError(401, "no-key", text)
        caller = Caller(address=address_of(scope))
    await guard.count(caller, "requests")
    if scope["path"] in _BRINGS_WORK:
        await guard.count(caller, "submissions")
    return caller


def _changes(scope: Scope) -> bool:
    return scope["type"] == "websocket" or scope["method"] not in _SAFE


def _without_ticket(scope: Scope) -> str:
    """Take the ticket out of the query, which the server writes to its log."""
    if b"ticket" not in scope["query_string"]:
        return ""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = [pair for pair in pairs if pair[0] != "ticket"]
    scope["query_string"] = urlencode(kept).encode()
    return next((value for name, value in pairs if name == "ticket"), "")


async def _refuse(scope: Scope, receive: Receive, send: Send, refusal: RefusedError) -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get(
        "extensions", {}
    ):
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
    if refusal.wait_s:
        headers["Retry-After"] = str(refusal.wait_s)
    response = problem(scope["path"], refusal.status, refusal.kind, str(refusal), headers=headers)
    await response(scope, receive, send)


def _recording(scope: Scope, caller: Caller, send: Send) -> Send:
    """`send`, which notes the outcome of what changes something or is refused further in."""

    async def recorded(message: Message) -> None:
        status = message.get("status", 0)
        if message["type"] == "http.response.start" and (
            _changes(scope) or status in {401, 403, 429}
        ):
            _record(scope, caller, status, dict(message.get("headers", ())))
        if message["type"] == "websocket.accept":
            _record(scope, caller, 101)
        await send(message)

    return recorded


def _record(
    scope: Scope, caller: Caller, status: int, headers: dict[bytes, bytes] | None = None
) -> None:
    """The match is the path's or, where one was submitted, the answer's."""
    location = (headers or {}).get(b"location", b"").decode("latin-1")
    found = _PIPELINE.match(scope["path"]) or _PIPELINE.match(location)
    what = scope.get("method", "WEBSOCKET")
    audit.record(what, scope["path"], status, caller=caller, pipeline_id=found[1] if found else "")
