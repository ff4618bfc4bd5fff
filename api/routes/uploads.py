"""Uploads: a form's file goes to the disk as it comes, never whole into memory."""

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from api.problems import ProblemError
from api.routes.access import Submitting
from api.routes.parts import TheParts
from api.schemas.documented import problems
from api.schemas.submission import Uploaded
from domain.errors import InputError, ResourceError

router = APIRouter(prefix="/api/v1", tags=["submit"])
SCHEME = "upload://"
_PIECE = 1 << 20
_LONGEST_HEADER = 4096
ROOM_BYTES = 1 << 29
"""What uploads leave free on the disk, on which state and results may lie as well."""
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@router.post(
    "/upload",
    status_code=201,
    summary="Upload a video",
    responses=problems(400, 408, 413, 422, 503, 507),
    openapi_extra=_FORM,
)
async def upload(request: Request, parts: TheParts, _: Submitting) -> Uploaded:
    """Keep the form's field `file`; what is answered can be submitted as `video_path`."""
    if parts.uploads is None:
        raise ProblemError(
            422, "no-uploads", "this service takes no uploads: give a path that its workers see"
        )
    arrival = await run_in_threadpool(_Arrival, parts.uploads, _boundary(request))
    try:
        async for piece in request.stream():
            if arrival.waiting + len(piece) > _PIECE:
                await run_in_threadpool(arrival.flush)
            arrival.feed(piece)
        return await run_in_threadpool(arrival.finish)
    except FormParserError as error:
        raise ProblemError(400, "malformed", f"the form cannot be read: {error}") from error
    except OSError as error:
        raise ResourceError(f"upload: {error.strerror}") from error
    finally:
        await run_in_threadpool(arrival.close)


def uploaded_path(text: str, uploads: Path | None) -> Path:
    """The file that an upload's `video_path` stands for.

    Raises:
        InputError: there is none.
    """
    match = re.fullmatch(re.escape(SCHEME) + r"([0-9a-f]{32})/([\w.-]+)", text)
    if match and uploads:
        path = uploads / match[1] / match[2]
        if path.is_file() and not path.is_symlink():
            return Path(os.path.realpath(path))
    raise InputError(f"{text[:200]}: there is no such upload: upload the file again")


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary: bytes = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 70:
        raise ProblemError(422, "no-form", "send the video as the field file of a form")
    return boundary


class _Arrival:
    """One upload on its way into a folder of its own, which stays only when it is whole."""

    def __init__(self, uploads: Path, boundary: bytes) -> None:
        self._folder = uploads / uuid.uuid4().hex
        self._folder.mkdir(parents=True)
        self._file = (self._folder / ".part").open("xb")
        self._hash = hashlib.sha256()
        self._name, self._size = "", 0
        self._whole = self._kept = self._taking = False
        self._pieces: list[bytes] = []
        self.waiting = 0
        self._field, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._parser = MultipartParser(boundary, self._callbacks())  # type: ignore[arg-type]

    def feed(self, piece: bytes) -> None:
        self._parser.write(piece)

    def flush(self) -> None:
        """Write what waits; to be called from a thread that may wait for the disk."""
        if shutil.disk_usage(self._folder).free < ROOM_BYTES:
            raise ProblemError(507, "no-room", "the disk for uploads is full: tell the operator")
        for piece in self._pieces:
            self._file.write(piece)
            self._hash.update(piece)
        self._pieces.clear()
        self.waiting = 0

    def finish(self) -> Uploaded:
        self._parser.finalize()
        if not self._whole:
            raise ProblemError(422, "no-file", "the form has no field file with a file in it")
        self.flush()
        self._file.flush()
        os.fsync(self._file.fileno())
        (self._folder / ".part").rename(self._folder / self._name)
        self._kept = True
        path = f"{SCHEME}{self._folder.name}/{self._name}"
        return Uploaded(video_path=path, size=self._size, sha256=self._hash.hexdigest())

    def close(self) -> None:
        self._file.close()
        if not self._kept:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _callbacks(self) -> Mapping[str, Any]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._headers, self._taking = {}, False

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        if len(self._field) + len(self._value) > _LONGEST_HEADER:
            raise ProblemError(400, "malformed", "the form has a header of absurd length")

    def _on_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._taking = options.get(b"name") == b"file" and b"filename" in options
        if self._taking and self._name:
            raise ProblemError(422, "two-files", "the form has two files: upload one at a time")
        if self._taking:
            self._name = _plain_name(options[b"filename"].decode(errors="replace"))

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._taking:
            self._pieces.append(data[start:end])
            self.waiting += end - start
            self._size += end - start

    def _end(self) -> None:
        self._whole = self._whole or self._taking


def _plain_name(given: str) -> str:
    """The file's own name in letters that no path and no shell takes for its own."""
    name = re.sub(r"[^\w.-]", "_", re.split(r"[/\\]", given)[-1], flags=re.ASCII)[-100:]
    return name.lstrip(".-") or "video"
