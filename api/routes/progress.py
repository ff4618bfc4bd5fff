"""Watching a match: a WebSocket, and the same messages as server-sent events."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, MutableMapping
from contextlib import AsyncExitStack
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Query, Request, Response, WebSocket
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from api.routes.access import Reading, watching
from api.routes.parts import Parts, PipelineId, known_id
from api.schemas.documented import problems
from application.watch import Close, Watch, deliver
from application.watchers import Watchers
from domain.errors import ResourceError, UnknownPipelineError
from infrastructure.telemetry.progress_metrics import ProgressMetrics

router = APIRouter(prefix="/api/v1", tags=["progress"])
_CLOSING_S = 5.0
_RETRY_MS = 2000
_EXAMPLE = (
    'id: 4\\ndata: {"type":"stage_started","pipeline_id":"...","sequence":4,'
    '"time":"2026-03-01T14:00:21.000Z","stage":"ball_tracking","share_done":0.0,'
    '"message":"ball_tracking started"}\\n\\n'
)


def watchers_of(app: FastAPI) -> Watchers:
    """The application's watchers; the first one makes them."""
    if not hasattr(app.state, "watchers"):
        parts: Parts = app.state.parts
        told_after = ProgressMetrics.here().told_after
        app.state.watchers = Watchers(parts.state, parts.artifacts, told_after=told_after)
    return app.state.watchers  # type: ignore[no-any-return]


@router.websocket("/pipeline/{pipeline_id}/progress")
async def progress(websocket: WebSocket, pipeline_id: str, after: str | None = None) -> None:
    """Where the match stands, then what happens to it; docs/progress.md lists the messages."""
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect, TimeoutError):
        end = await _watch(websocket, pipeline_id, after)
        if end is not None:
            async with asyncio.timeout(_CLOSING_S):
                await websocket.close(end, end.reason)


async def _watch(websocket: WebSocket, pipeline_id: str, after: str | None) -> Close | None:
    if after is not None and not (after.isdecimal() and len(after) < 16):
        return Close.BAD_REQUEST
    watchers = watchers_of(websocket.app)
    known = None if after is None else int(after)
    try:
        await watching(websocket, known_id(pipeline_id))
        async with watchers.watching(known_id(pipeline_id), known) as watch:
            return await deliver(watch, websocket.send_text, _gone(websocket))
    except UnknownPipelineError:
        return Close.NO_SUCH_PIPELINE
    except ResourceError:
        return Close.TRY_LATER


async def _gone(websocket: WebSocket) -> None:
    """Waits until the client is gone; what it says is not looked at."""
    message: MutableMapping[str, Any] = {}
    while message.get("type") != "websocket.disconnect":
        message = await websocket.receive()


@router.get(
    "/pipeline/{pipeline_id}/events",
    summary="Follow a match as server-sent events",
    response_class=Response,
    responses={
        200: {
            "description": "the messages of the WebSocket, one an event",
            "content": {"text/event-stream": {"example": _EXAMPLE}},
        },
        204: {"description": "the match is finished, and the client knows it: do not reconnect"},
        **problems(404, 422, 503),
    },
)
async def events(
    request: Request,
    pipeline_id: PipelineId,
    _: Reading,
    after: Annotated[
        int | None, Query(ge=0, description="the last sequence seen: go on after it")
    ] = None,
    last_event_id: Annotated[
        int | None, Header(ge=0, description="the same, as browsers send it when they reconnect")
    ] = None,
) -> Response:
    """Where the match stands, then what happens to it, until it is finished."""
    watchers, stack = watchers_of(request.app), AsyncExitStack()
    known = after if last_event_id is None else last_event_id
    watch = await stack.enter_async_context(watchers.watching(pipeline_id, known))
    if watch.end is Close.FINISHED and last_event_id is not None and watch.knows(last_event_id):
        await stack.aclose()
        return Response(status_code=204)
    return _EventStream(stack, watch)


class _EventStream(StreamingResponse):
    """The watch as a response; it ends with the watch, or when the client is gone."""

    def __init__(self, stack: AsyncExitStack, watch: Watch) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(_lines(watch), headers=headers, media_type="text/event-stream")
        self._stack = stack
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._stack:
            await _first(super().__call__(scope, receive, send), self._cut())

    async def _cut(self) -> None:
        await self._watch.cut.wait()


async def _first(*several: Coroutine[Any, Any, None]) -> None:
    """Wait for the first to end, and stop the others."""
    tasks = [asyncio.ensure_future(each) for each in several]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _lines(watch: Watch) -> AsyncIterator[str]:
    yield f"retry: {_RETRY_MS}\n\n"
    while told := await watch.next():
        place = "" if told.place is None else f"id: {told.place}\n"
        yield f"{place}data: {told.text}\n\n"
