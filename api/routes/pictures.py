"""Pictures of the input: one frame, or a short clip around an event."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Query, Request, Response

from api.problems import ProblemError
from api.routes.access import Reading
from api.routes.files import made_file
from api.routes.parts import Parts, PipelineId, TheParts
from api.routes.results import table_file
from api.schemas.documented import binary, problems
from application.queries import UnknownResultError
from domain.errors import InputError

if TYPE_CHECKING:
    from infrastructure.video.source import VideoFile, VideoSource

router = APIRouter(prefix="/api/v1/pipeline/{pipeline_id}", tags=["pictures"])
LONGEST_CLIP_S = 30.0
_AROUND_S = 2.0
AT_ONCE, MAY_WAIT = 2, 8
"""Decoding takes a core each: so many are made at once, so many wait, the others are turned away.
They wait in no thread, so that other requests have theirs."""
_JPEG_QUALITY = 85
Time = Annotated[float | None, Query(ge=0, le=1e6, allow_inf_nan=False)]


@router.get(
    "/frame",
    summary="A picture of the match",
    response_class=Response,
    responses=problems(404, 409, 410, 422, 503) | {200: binary("The picture.", "image/jpeg")},
)
async def frame(
    request: Request,
    pipeline_id: PipelineId,
    parts: TheParts,
    _: Reading,
    time_s: Annotated[float, Query(ge=0, le=1e6, allow_inf_nan=False)],
    width: Annotated[int, Query(ge=64, le=3840, description="at most; never enlarged")] = 1280,
) -> Response:
    """The frame that is shown at `time_s`, as JPEG."""
    return await aside(request, lambda: _frame(pipeline_id, parts, time_s, width))


@router.get(
    "/clip",
    summary="A short clip of the match",
    response_class=Response,
    responses=problems(400, 404, 409, 410, 416, 422, 503)
    | {
        200: binary("The clip.", "video/mp4"),
        206: binary("The range that was asked for.", "video/mp4"),
    },
)
async def clip(
    request: Request,
    pipeline_id: PipelineId,
    parts: TheParts,
    _: Reading,
    event: Annotated[
        int | None,
        Query(ge=0, lt=1 << 62, description="number of a match event, as results/events says"),
    ] = None,
    from_s: Time = None,
    to_s: Time = None,
) -> Response:
    """A stretch of the input with its sound as MP4: around an event, or from `from_s` to `to_s`."""

    def made() -> Response:
        if event is not None:
            return _clip(pipeline_id, parts, *_around(event, pipeline_id, parts))
        if from_s is None or to_s is None:
            raise ProblemError(422, "illegal-values", "give event, or from_s and to_s")
        return _clip(pipeline_id, parts, from_s, to_s)

    return await aside(request, made)


async def aside(request: Request, make: Callable[[], Response]) -> Response:
    """What `make` makes, in one of the few threads that decode.

    Raises:
        ProblemError: too many wait for one already.
    """
    limiter: CapacityLimiter = request.app.state.pictures
    if limiter.statistics().tasks_waiting >= MAY_WAIT:
        raise ProblemError(503, "busy", "other pictures are being made: ask again")
    return await to_thread.run_sync(make, limiter=limiter)


def _frame(pipeline_id: str, parts: Parts, time_s: float, width: int) -> Response:
    source = _source(pipeline_id, parts)
    if time_s >= source.index.end_s:
        raise _too_late("time_s", time_s, source.index.end_s)
    number = int(np.searchsorted(source.index.time_s, time_s, side="right")) - 1
    return Response(_decoded(source, max(number, 0), width), media_type="image/jpeg")


def _clip(pipeline_id: str, parts: Parts, start_s: float, end_s: float) -> Response:
    from infrastructure.video.clip import cut_clip

    source = _source(pipeline_id, parts)
    _check(start_s, end_s, source.index.end_s)
    with _input_there():
        file, offset = _file_at(source, start_s)

        def cut(path: Path) -> None:
            cut_clip(file.path, file.info, file.index, start_s - offset, end_s - offset, path)

        return made_file(parts.artifacts, "clip.mp4", "video/mp4", cut)


def _source(pipeline_id: str, parts: Parts) -> "VideoSource":
    from infrastructure.video.source import VideoSource

    opened = parts.queries.opened_input(pipeline_id)
    if opened is None:
        raise ProblemError(422, "no-pictures", "tracking data has no pictures")
    return VideoSource.from_bytes(opened)


def _decoded(source: "VideoSource", number: int, width: int) -> bytes:
    import cv2

    with _input_there():
        shown = next(iter(source.decode(number, number + 1, size=(width, 16 * width))))
        if shown.image is None:
            raise ProblemError(410, "gone", f"frame {number} of the input cannot be decoded")
        done, data = cv2.imencode(".jpg", shown.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert done
    return data.tobytes()


def _file_at(source: "VideoSource", time_s: float) -> "tuple[VideoFile, float]":
    """The file that is shown at that time, and when it begins."""
    from infrastructure.video.source import VideoFile

    number = int(np.searchsorted(source.index.starts_s, time_s, side="right")) - 1
    part = source.parts[number]
    if not isinstance(part, VideoFile):
        raise ProblemError(422, "no-clip", "clips are cut from video files: ask for frames instead")
    part.check_unchanged()
    return part, source.index.starts_s[number]


def _around(event: int, pipeline_id: str, parts: Parts) -> tuple[float, float]:
    columns = ["event", "start_s", "end_s"]
    found = pq.read_table(table_file(pipeline_id, "match_events", parts), columns=columns)
    found = found.filter(pc.equal(found["event"], event)).to_pylist()
    if not found:
        raise UnknownResultError(f"pipeline {pipeline_id} has no event {event}")
    start_s = max(0.0, found[0]["start_s"] - _AROUND_S)
    return start_s, min(found[0]["end_s"] + _AROUND_S, start_s + LONGEST_CLIP_S)


def _check(start_s: float, end_s: float, length_s: float) -> None:
    if start_s >= length_s:
        raise _too_late("from_s", start_s, length_s)
    if not 0 < end_s - start_s <= LONGEST_CLIP_S:
        raise ProblemError(
            422,
            "illegal-values",
            f"from_s {start_s:g} to_s {end_s:g}: a clip has more than 0 and up to "
            f"{LONGEST_CLIP_S:g} seconds",
        )


def _too_late(name: str, time_s: float, length_s: float) -> ProblemError:
    text = f"{name} {time_s:g}: the match ends at {length_s:g} s"
    return ProblemError(422, "illegal-values", text)


@contextmanager
def _input_there() -> Iterator[None]:
    """An input that was moved since is no fault of the request."""
    try:
        yield
    except InputError as error:
        raise ProblemError(
            410, "gone", "the input is gone since it was analysed: put it back to see pictures"
        ) from error
