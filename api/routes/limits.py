"""Bodies are limited in size: by what their header promises and by what really comes."""

from collections.abc import Callable

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem

BODY_BYTES = 1 << 20


class BodyLimit:
    """Refuses longer bodies with 413; `limit_of` says how long one for a path may be."""

    def __init__(self, app: ASGIApp, limit_of: Callable[[Scope], int]) -> None:
        self._app = app
        self._limit_of = limit_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope)
        promised = dict(scope["headers"]).get(b"content-length", b"0")
        if not promised.isdigit() or int(promised[:20]) > limit:
            text = _refusal(limit)
            response = problem(scope["path"], 413, "content-too-large", text)
            await response(scope, receive, send)
            return
        await self._app(scope, _counting(receive, limit), send)


def _counting(receive: Receive, limit: int) -> Receive:
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(413, _refusal(limit))
        return message

    return counted


def _refusal(limit: int) -> str:
    return f"the body is longer than {limit} bytes: send less"
