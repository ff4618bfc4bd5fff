"""Bodies are limited: in size, by what their header promises and by what comes, and in time."""

import asyncio
from collections.abc import Callable

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem

BODY_BYTES = 1 << 20
BODY_PATIENCE_S = 30.0
_SLOWEST = 16 << 10
"""Bytes a second that a body comes with, on average; who feeds drops holds a connection for it."""


class BodyLimit:
    """Refuses longer bodies with 413 and slower ones with 408.

    `limit_of` says how long one for a path may be. After `patience_s`, in which anything goes, a
    body must have come with 16 KiB a second, and no piece of it may take longer.
    """

    def __init__(
        self, app: ASGIApp, limit_of: Callable[[Scope], int], patience_s: float = BODY_PATIENCE_S
    ) -> None:
        self._app = app
        self._limit_of = limit_of
        self._patience_s = patience_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if b"content-length" in headers and b"transfer-encoding" in headers:
            # a proxy before us may have seen another end of the body (request smuggling)
            text, close = "the body has two lengths: send one", {"Connection": "close"}
            response = problem(scope["path"], 400, "malformed", text, headers=close)
            await response(scope, receive, send)
            return
        limit = self._limit_of(scope)
        promised = headers.get(b"content-length", b"0")
        if not promised.isdigit() or int(promised[:20]) > limit:
            text = _refusal(limit)
            response = problem(scope["path"], 413, "content-too-large", text)
            await response(scope, receive, send)
            return
        await self._app(scope, _Body(receive, limit, self._patience_s).next, send)


class _Body:
    """A request's body on its way; once it is whole, what comes is no longer looked at."""

    def __init__(self, receive: Receive, limit: int, patience_s: float) -> None:
        self._receive = receive
        self._limit = limit
        self._patience_s = patience_s
        self._received = 0
        self._began = 0.0
        self._whole = False

    async def next(self) -> Message:
        if self._whole:
            return await self._receive()
        message = await self._in_time()
        self._received += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._received > self._limit:
            raise HTTPException(413, _refusal(self._limit))
        return message

    async def _in_time(self) -> Message:
        now = asyncio.get_running_loop().time()
        self._began = self._began or now
        due = self._began + self._patience_s + self._received / _SLOWEST
        try:
            async with asyncio.timeout_at(min(due, now + self._patience_s)):
                return await self._receive()
        except TimeoutError:
            # FastAPI makes a 400 of any other error while it reads a body
            raise HTTPException(408, "the body came too slowly: send it again") from None


def _refusal(limit: int) -> str:
    return f"the body is longer than {limit} bytes: send less"
