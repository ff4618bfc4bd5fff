"""Answering with files: ETag, If-None-Match, ranges, and problems where those are wrong."""

import contextlib
import mimetypes
from collections.abc import Callable
from pathlib import Path

from fastapi import Request, Response
from starlette.background import BackgroundTask
from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from api.problems import problem
from application.ports import Artifact, ArtifactStore
from domain.errors import ArtifactError

PARQUET = "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"
_OWN = {".parquet": PARQUET, ".jsonl": "application/jsonl", ".json": "application/json"}


def media_type_of(name: str) -> str:
    guessed = mimetypes.guess_type(name)[0]
    return _OWN.get(Path(name).suffix) or guessed or "application/octet-stream"


def artifact_response(
    request: Request, artifacts: ArtifactStore, artifact: Artifact, name: str
) -> Response:
    """The artifact as the file `name`; its hash is the ETag, for it never changes.

    Raises:
        ArtifactError: it is gone.
    """
    headers = {"ETag": f'"{artifact.sha256}"', "Cache-Control": "private, no-cache"}
    if artifact.sha256 in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    path = artifacts.local_path(artifact)
    if not path.is_file():
        raise ArtifactError(f"{name}: it is gone from storage: analyse the match again")
    return WholeFile(path, headers=headers, media_type=media_type_of(name), filename=_last(name))


def made_file(
    artifacts: ArtifactStore, name: str, media_type: str, make: Callable[[Path], None]
) -> Response:
    """A file made for this answer alone; it is removed when the answer is out."""
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(artifacts.workspace()) / _last(name)
        make(path)
        kept = stack.pop_all()
    removal = BackgroundTask(kept.close)
    return WholeFile(path, media_type=media_type, filename=path.name, background=removal)


class WholeFile(FileResponse):
    """A FileResponse whose refusals of a range are problems, and which no browser reinterprets."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers["X-Content-Type-Options"] = "nosniff"
        refused: list[Message] = []

        async def checked(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                refused.append(message)
            if not refused:
                await send(message)

        await super().__call__(scope, receive, checked)
        if refused:
            await _refusal(scope, refused[0])(scope, receive, send)
            if self.background:  # a refused range returns before it
                await self.background()


def _refusal(scope: Scope, start: Message) -> Response:
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    kept = {name: value for name, value in headers.items() if name == "content-range"}
    if start["status"] == 416:
        text = f"the file has {headers['content-range'].rpartition('/')[2]} bytes"
        return problem(scope["path"], 416, "range-not-satisfiable", text, headers=kept)
    return problem(scope["path"], 400, "malformed", "the header Range cannot be read")


def _last(name: str) -> str:
    return name.rpartition("/")[2]
