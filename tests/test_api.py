"""The HTTP API and its commands, over both stores, with real matches done by a real worker."""

import io
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import av
import cv2
import httpx
import jsonschema  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from starlette.responses import Response

from api.command_line import main
from api.problems import ProblemError
from api.routes import health, pictures
from api.routes.parts import Dependency
from api.schemas.documented import operations
from application.state import WorkerRecord
from deploy.servers import RedisServer
from domain import tables
from domain.errors import ResourceError
from infrastructure.video.source import open_source
from tests.matches import QUICK
from tests.served import TRACKING, UPLOAD_BYTES, Served, make_videos, running, served

PROBLEM = "application/problem+json"
UNKNOWN = "0" * 32
EARLY = ["video_decoding", "export"]
"""Stages that are done at once, for tests that are about something else."""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, videos: Path
) -> Iterator[Served]:
    needed = "_shared_redis" if request.param == "redis" else "videos"
    redis_url = getattr(request.getfixturevalue(needed), "url", "")
    folder = tmp_path_factory.getbasetemp() / "service" / request.param
    folder.mkdir(parents=True)
    with served(request.param, redis_url, folder, videos) as running_service:
        yield running_service


@pytest.fixture(scope="module")
def match(service: Served) -> str:
    """A completed match with pictures, two segments and every stage."""
    return service.analysed(video_path="match.mp4", **QUICK)


@pytest.fixture(scope="module")
def tracked(service: Served) -> str:
    """A completed match from tracking data."""
    return service.analysed(video_path=list(TRACKING))


LENGTH_S, ROWS_A_GROUP = 60, 1000


@pytest.fixture(scope="module")
def filled(service: Served) -> str:
    """A match with pictures whose tables are made here, so that what they hold is known.

    One frame each 0.1 s for 60 s; tracks 1 and 2 in each of them, in row groups of 1000; a pass at
    0.5 s and one at 30 s.
    """
    pipeline_id = service.analysed(video_path="match.mp4", stages=EARLY)
    files = dict(service.parts.queries.results(pipeline_id))
    for name, table in _known_tables().items():
        sink = io.BytesIO()
        pq.write_table(table, sink, row_group_size=ROWS_A_GROUP)
        files[f"{name}.parquet"] = service.parts.artifacts.put(sink.getvalue())
    service.parts.ledger.keep_results(pipeline_id, files)
    return pipeline_id


def _known_tables() -> dict[str, pa.Table]:
    count = LENGTH_S * 10
    frame = np.arange(count)
    twice = np.repeat(frame, 2)
    box = dict.fromkeys(("x1", "y1", "x2", "y2"), np.zeros(2 * count, np.float32))
    place = dict.fromkeys(("x", "y", "sigma_m", "speed_mps"), [None] * (2 * count))
    event = {"start_x": None, "start_y": None, "end_x": None, "end_y": None, "outcome": None}
    return {
        "frames": tables.make(
            "frames",
            {
                "frame": frame,
                "time_s": frame / 10,
                "period": [None] * count,
                "match_clock_s": [None] * count,
                "segment": frame // 200,
                "decoded": [True] * count,
                "view": ["wide"] * count,
                "shot": frame * 0,
                "replay": [False] * count,
                "camera_motion": [None] * count,
            },
        ),
        "tracks": tables.make(
            "tracks",
            {
                "frame": twice,
                "time_s": twice / 10,
                "track": np.tile([1, 2], count),
                **box,
                **place,
                "observed": [True] * (2 * count),
            },
        ),
        "detections": tables.make(
            "detections",
            {
                "frame": frame,
                **{name: values[:count] for name, values in box.items()},
                "confidence": np.ones(count),
                "role": ["player"] * count,
                "appearance": [[0.5, 0.25]] * count,
            },
        ),
        "identities": tables.make(
            "identities",
            {
                "track": [1, 2],
                "player": ["home_7", "away_4"],
                "number": [7, None],
                "team": ["home", "away"],
                "role": ["player", "player"],
                "confidence": [1.0, 1.0],
            },
        ),
        "match_events": tables.make(
            "match_events",
            {
                "event": [0, 1],
                "type": ["pass", "pass"],
                "start_frame": [5, 300],
                "start_s": [0.5, 30.0],
                "end_frame": [8, 310],
                "end_s": [0.8, 31.0],
                "player": ["home_7", "away_4"],
                "receiver": [None, "away_9"],
                "team": ["home", "away"],
                "confidence": [0.5, 0.75],
                "evidence": ["made here"] * 2,
                "evidence_frames": [[5, 8], []],
                "provisional": [False] * 2,
                **{name: [value] * 2 for name, value in event.items()},
            },
        ),
    }


# -- submitting


def test_a_submission_is_kept_and_says_where_to_go_on(service: Served) -> None:
    answer = service.http.post(
        "/api/v1/process-video", json={"video_path": "match.mp4", "priority": "high"}
    )
    record = answer.json()
    assert answer.status_code == 202
    assert (record["state"], record["priority"]) == ("queued", "high")
    assert answer.headers["Location"] == record["links"]["status"]
    status = service.get(answer.headers["Location"]).json()
    assert (status["planning"]["state"], status["stages"]) == ("ready", [])
    kept = service.parts.ledger.find(record["pipeline_id"])
    assert kept
    paths = json.loads(kept.configuration)["video_path"]
    assert paths == [str(service.videos / "match.mp4")]
    service.http.post(record["links"]["cancel"])


def test_a_repeat_with_the_same_key_is_the_same_match(service: Served) -> None:
    def post(**values: Any) -> httpx.Response:
        return service.http.post(
            "/api/v1/process-video",
            json={"video_path": "match.mp4", "stages": EARLY, **values},
            headers={"Idempotency-Key": "final-2026"},
        )

    first, again, other = post(), post(), post(batch_size=2)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["pipeline_id"] == again.json()["pipeline_id"]
    assert (other.status_code, other.headers["content-type"]) == (422, PROBLEM)
    assert "final-2026" in other.json()["detail"]
    service.work()
    assert post().json()["state"] == "completed"  # also long after, nothing begins anew


@pytest.mark.parametrize(
    ("values", "field", "value", "legal"),
    [
        ({"batch_size": 0}, "batch_size", 0, "whole number from 1 up to 256"),
        ({"priority": "now"}, "priority", "now", "one of urgent, high, normal, low"),
        (
            {"stage_configs": {"player_detection": {"confidence_threshold": 1.5}}},
            "stage_configs.player_detection.confidence_threshold",
            1.5,
            "number from 0 up to 1",
        ),
        (
            {"stage_configs": {"ball_tracking": {"tracking_method": "magic"}}},
            "stage_configs.ball_tracking.tracking_method",
            "magic",
            "one of kalman, particle",
        ),
        ({"pitch": {"lenght_m": 100}}, "pitch.lenght_m", 100, "one of the names length_m, width_m"),
        ({"batch_size": float("nan")}, "batch_size", "NaN", "whole number from 1 up to 256"),
        ({"video_path": "\ud800"}, "video_path.0", '"\\ud800"', None),
        ({"video_path": []}, "video_path", [], None),
        ({"stages": ["video_decoding", "magic"]}, "stages", "magic", None),
        ({"stage_configs": {"magic": {}}}, "stage_configs", "magic", None),
        (
            {"stage_configs": {"player_detection": {"model_name": "/etc/passwd"}}},
            "stage_configs.player_detection.model_name",
            "/etc/passwd",
            None,
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_legal(
    service: Served, values: dict[str, Any], field: str, value: Any, legal: str | None
) -> None:
    body = json.dumps({"video_path": "match.mp4", **values})
    headers = {"Content-Type": "application/json"}
    answer = service.http.post("/api/v1/process-video", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    wrong = {each["field"]: each for each in answer.json()["errors"]}
    assert wrong[field]["value"] == value
    assert legal is None or wrong[field]["legal"] == legal


@pytest.mark.parametrize(
    "path",
    ["../elsewhere.mp4", "/etc/passwd", "link/passwd", "", "a\0b", "http://x/y.mp4", "file:x"],
)
def test_a_path_out_of_the_allowed_folders_is_refused(service: Served, path: str) -> None:
    link = service.videos / "link"
    link.unlink(missing_ok=True)
    link.symlink_to("/etc")
    problem = service.submit(422, video_path=path)
    assert problem["errors"][0]["field"].startswith("video_path")
    assert "root:" not in json.dumps(problem)


def test_without_an_allowed_folder_every_path_is_refused_and_it_says_why(service: Served) -> None:
    with running(replace(service.parts, video_roots=())) as url:
        answer = httpx.post(f"{url}/api/v1/process-video", json={"video_path": "match.mp4"})
    assert answer.status_code == 422
    assert "ML_PIPELINE_VIDEO_ROOTS is empty" in answer.json()["detail"]


# -- uploads


def test_an_upload_can_be_analysed(service: Served, videos: Path) -> None:
    data = (videos / "match.mp4").read_bytes()
    answer = service.http.post("/api/v1/upload", files={"file": ("../../my match.mp4", data)})
    assert (answer.status_code, answer.json()["size"]) == (201, len(data))
    assert answer.json()["video_path"].endswith("/my_match.mp4")  # its folders are not taken over
    service.analysed(video_path=answer.json()["video_path"], stages=EARLY)


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ({"file": ("large.mp4", b"x" * (UPLOAD_BYTES + (2 << 20)))}, 413),
        ({"other": ("a.mp4", b"x")}, 422),
        ([("file", ("a.mp4", b"x")), ("file", ("b.mp4", b"y"))], 422),
        ({"file": (None, b"no file")}, 422),
    ],
)
def test_a_wrong_upload_is_refused_and_leaves_nothing(
    service: Served, files: Any, status: int
) -> None:
    before = _uploads(service)
    answer = service.http.post("/api/v1/upload", files=files)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    assert _uploads(service) == before


def test_without_a_folder_for_uploads_they_are_refused(service: Served) -> None:
    # Where artifacts are in an object store, workers would not find the file.
    with running(replace(service.parts, uploads=None)) as url:
        answer = httpx.post(f"{url}/api/v1/upload", files={"file": ("a.mp4", b"x")})
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)


def test_an_upload_that_breaks_off_leaves_nothing(service: Served) -> None:
    before = _uploads(service)
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(
            b"POST /api/v1/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\nhalf'
        )
        _until(lambda: _uploads(service) != before)
    _until(lambda: _uploads(service) == before)


def _uploads(service: Served) -> list[Path]:
    assert service.parts.uploads
    return sorted(service.parts.uploads.rglob("*"))


def _until(condition: Callable[[], bool]) -> None:
    """What another process or thread does soon."""
    waiting = threading.Event()
    for _ in range(600):
        if condition():
            return
        waiting.wait(0.05)
    pytest.fail("it did not come about")


# -- state


def test_the_status_tells_each_stage_and_segment(service: Served, match: str) -> None:
    status = service.of(match, "status").json()
    assert (status["state"], status["share_done"]) == ("completed", 1.0)
    assert status["frames"] == {"done": 50, "total": 50}  # 2 s of 25 frames
    detection = next(s for s in status["stages"] if s["stage"] == "player_detection")
    assert [cell["segment"] for cell in detection["segments"]] == [0, 1, None]
    assert detection["cells"] == {"done": 3, "total": 3}
    assert all(cell["attempts"] == 1 and cell["seconds"] > 0 for cell in detection["segments"])
    small = service.of(match, "status", segments=False).json()
    assert [stage["segments"] for stage in small["stages"]] == [[]] * len(status["stages"])


def test_a_match_in_the_middle_tells_how_far_it_is(service: Served) -> None:
    record = service.submit(video_path="match.mp4", **QUICK, checkpoint_enabled=False)
    service.live()
    assert service.worker.take("cpu")  # plans it
    assert service.worker.take("gpu")  # decodes the first of two segments
    lease = service.parts.state.claim("gpu", service.parts.state.workers()[0].able, "you", 60)
    assert lease
    status = service.get(record["links"]["status"]).json()
    detection = next(s for s in status["stages"] if s["stage"] == "player_detection")
    assert [cell["state"] for cell in detection["segments"]] == ["done", "running", "waiting"]
    assert [cell["worker"] for cell in detection["segments"]] == ["", "you", ""]
    assert (detection["state"], detection["share_done"]) == ("running", 0.5)
    assert status["cells"]["done"] == 3  # the three source stages on one segment
    assert status["frames"]["done"] == 0  # the timeline stages have seen none
    service.parts.state.give_back(lease)
    service.http.post(record["links"]["cancel"])


def test_a_failure_names_the_cell_and_a_retry_goes_on_from_there(
    service: Served, videos: Path
) -> None:
    path = videos / "soon_gone.mp4"
    path.write_bytes((videos / "match.mp4").read_bytes())
    record = service.submit(video_path=path.name, stages=EARLY, checkpoint_enabled=False)
    links = record["links"]
    assert service.worker.take("cpu")
    path.rename(path.with_suffix(".away"))
    path.write_bytes(b"another film")
    service.work()
    status = service.get(links["status"]).json()
    decoding = status["stages"][0]
    assert (status["state"], decoding["state"]) == ("failed", "failed")
    assert path.name in decoding["error"]
    assert decoding["segments"][0]["attempts"] == 1  # a changed file is not tried again by itself
    path.with_suffix(".away").rename(path)
    assert service.http.post(links["retry"]).json()["attempt"] == 1
    service.work()
    assert service.get(links["status"]).json()["state"] == "completed"


def test_a_match_that_cannot_be_planned_says_so(service: Served, videos: Path) -> None:
    (videos / "noise.mp4").write_bytes(b"noise" * 100)
    record = service.submit(video_path="noise.mp4")
    service.work()
    status = service.get(record["links"]["status"]).json()
    assert (status["state"], status["planning"]["state"]) == ("failed", "failed")
    assert status["planning"]["error"] == status["error"] != ""


def test_cancel_and_delete_only_what_may_be(service: Served) -> None:
    record = service.submit(video_path="match.mp4", stages=EARLY)
    itself = f"/api/v1/pipeline/{record['pipeline_id']}"
    assert service.http.delete(itself).status_code == 409  # still queued
    assert service.http.post(record["links"]["retry"]).status_code == 409
    assert service.http.post(record["links"]["cancel"]).json()["state"] == "cancelled"
    assert service.http.post(record["links"]["cancel"]).status_code == 200  # changes nothing
    assert service.http.delete(itself).status_code == 204
    assert service.get(record["links"]["status"], 404).headers["content-type"] == PROBLEM
    done = service.analysed(video_path="match.mp4", stages=EARLY)
    assert service.http.post(f"/api/v1/pipeline/{done}/cancel").status_code == 409


def test_the_list_has_filters_and_pages(service: Served, match: str) -> None:
    def walk(**query: Any) -> list[dict[str, Any]]:
        found, path = [], "/api/v1/pipelines"
        while path:
            page = service.get(path, **query).json()
            found += page["pipelines"]
            path, query = page["next"], {}
        return found

    whole = walk(limit=1000)
    assert walk(limit=2) == whole  # nothing twice, nothing left out, the latest first
    times = [record["submitted_at"] for record in whole]
    assert times == sorted(times, reverse=True)
    completed = walk(state="completed", limit=1)
    assert {record["state"] for record in completed} == {"completed"}
    assert match in [record["pipeline_id"] for record in completed]
    assert walk(owner="nobody") == []


# -- results


def test_files_come_whole_in_ranges_and_by_etag(service: Served, match: str) -> None:
    listed = service.of(match, "results").json()
    entry = next(each for each in listed["files"] if each["name"] == "tracks.parquet")
    whole = service.get(entry["href"])
    assert len(whole.content) == entry["size"]
    assert pq.read_table(io.BytesIO(whole.content)).schema.equals(tables.SCHEMAS["tracks"])
    assert whole.headers["etag"] == f'"{entry["sha256"]}"'

    def again(**headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return service.http.get(entry["href"], headers=named)

    assert again(If_None_Match=whole.headers["etag"]).status_code == 304
    part = again(Range="bytes=4-9")
    assert (part.status_code, part.content) == (206, whole.content[4:10])
    beyond, nonsense = again(Range=f"bytes={entry['size']}-"), again(Range="metres=1-2")
    assert (beyond.status_code, beyond.headers["content-type"]) == (416, PROBLEM)
    assert (nonsense.status_code, nonsense.headers["content-type"]) == (400, PROBLEM)
    assert "tracks" in service.of(match, "results/files/none.txt", 404).json()["detail"]


def test_results_that_are_not_there_yet_are_a_conflict(service: Served) -> None:
    record = service.submit(video_path="match.mp4", stages=EARLY)
    assert service.get(record["links"]["results"], 409).headers["content-type"] == PROBLEM
    service.http.post(record["links"]["cancel"])


def _rows(service: Served, pipeline_id: str, table: str, **query: Any) -> list[dict[str, Any]]:
    """All pages of a table as JSON."""
    found: list[dict[str, Any]] = []
    path = f"/api/v1/pipeline/{pipeline_id}/results/tables/{table}"
    query = {"format": "json", **query}
    while path:
        page = service.get(path, **query).json()
        found, path, query = found + page["rows"], page["next"], {}
    return found


def test_a_table_is_the_same_in_every_form(service: Served, filled: str) -> None:
    path = f"/api/v1/pipeline/{filled}/results/tables/tracks"
    parquet = pq.read_table(io.BytesIO(service.get(path).content))
    stream = service.http.get(path, headers={"Accept": "application/vnd.apache.arrow.stream"})
    assert pa.ipc.open_stream(stream.content).read_all().equals(parquet)
    as_json = service.http.get(path, headers={"Accept": "application/json, */*;q=0.1"}).json()
    assert as_json["rows"] == parquet.to_pylist()[:1000]
    assert _rows(service, filled, "tracks", limit=333) == parquet.to_pylist()  # across row groups
    refused = service.http.get(path, headers={"Accept": "text/csv"})
    assert (refused.status_code, refused.headers["content-type"]) == (406, PROBLEM)


@pytest.mark.parametrize(
    ("table", "query", "count"),
    [
        ("tracks", {"from_s": 10, "to_s": 20}, 200),  # 100 frames, two tracks in each
        ("tracks", {"track": 2}, 600),
        ("tracks", {"player": "away_4", "from_s": 59}, 10),  # through identities: his is track 2
        ("tracks", {"player": "nobody"}, 0),
        ("tracks", {"player": "away_4", "track": 1}, 0),
        ("detections", {"from_s": 1.05, "to_s": 2}, 9),  # by frames 11 to 19: it has no times
        ("detections", {"from_s": 1e6}, 0),
        ("match_events", {"player": "away_9"}, 1),  # who receives it took part
        ("match_events", {"from_s": 0.7, "to_s": 30}, 1),  # the first is still under way at 0.7
    ],
)
def test_filters_choose_rows(
    service: Served, filled: str, table: str, query: dict[str, Any], count: int
) -> None:
    found = _rows(service, filled, table, **query, limit=150)
    assert len(found) == count
    parquet = service.of(filled, f"results/tables/{table}", **query)
    assert pq.read_table(io.BytesIO(parquet.content)).num_rows == count
    arrow = service.of(filled, f"results/tables/{table}", **query, format="arrow")
    assert pa.ipc.open_stream(arrow.content).read_all().num_rows == count


def test_a_filter_that_a_table_cannot_have_is_refused(service: Served, filled: str) -> None:
    for table, query in (("frames", {"player": "home_7"}), ("identities", {"from_s": 1})):
        answer = service.of(filled, f"results/tables/{table}", 422, **query)
        assert "cannot be filtered" in answer.json()["detail"]
    assert service.of(filled, "results/tables/ball", 404)  # a stage subset leaves no such table


def test_findings_are_rows_of_their_tables(service: Served, filled: str, tracked: str) -> None:
    events = service.of(filled, "results/events", from_s=1).json()["rows"]
    assert [(event["event"], event["receiver"]) for event in events] == [(1, "away_9")]
    for name in ("metrics", "formations"):
        assert service.of(tracked, f"results/{name}").json()["rows"] == _rows(
            service, tracked, name
        )
    duration = service.of(tracked, "results/metrics", player="match").json()["rows"][0]
    assert (duration["name"], duration["unit"]) == ("duration", "s")


# -- pictures


def test_a_frame_is_the_one_shown_at_that_time(service: Served, filled: str, videos: Path) -> None:
    answer = service.of(filled, "frame", time_s=1.03)  # frame 25 is shown from 1.00 to 1.04
    assert answer.headers["content-type"] == "image/jpeg"
    shown = _picture(answer)
    decoded = [np.asarray(f.image) for f in open_source(videos / "match.mp4").decode(0, 50)]
    distances = [np.abs(shown - image).mean() for image in decoded]
    assert int(np.argmin(distances)) == 25
    small = service.of(filled, "frame", time_s=0, width=320)
    assert _picture(small).shape == (180, 320, 3)


def _picture(answer: httpx.Response) -> NDArray[np.int64]:
    decoded = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(decoded, np.int64)


@pytest.mark.parametrize(
    ("query", "frames"),
    [
        ({"from_s": 0.4, "to_s": 1.4}, 25),
        ({"event": 0}, 50),  # two seconds around it are more than the whole video
    ],
)
def test_a_clip_has_just_the_frames_asked_for(
    service: Served, filled: str, query: dict[str, Any], frames: int
) -> None:
    answer = service.of(filled, "clip", **query)
    assert answer.headers["content-type"] == "video/mp4"
    with av.open(io.BytesIO(answer.content)) as clip:
        assert sum(1 for _ in clip.decode(video=0)) == frames
    workspaces = [path for path in (_artifacts(service) / "tmp").iterdir() if path.is_dir()]
    assert workspaces == []


def _artifacts(service: Served) -> Path:
    return Path(getattr(service.parts.artifacts, "root"))  # noqa: B009


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("frame", {"time_s": 2.0}, 422),  # the match ends there
        ("frame", {"time_s": -1}, 422),
        ("frame", {"time_s": "nan"}, 422),
        ("clip", {}, 422),
        ("clip", {"from_s": 1, "to_s": 1}, 422),
        ("clip", {"from_s": 0, "to_s": 31}, 422),
        ("clip", {"event": 77}, 404),
        ("clip", {"event": 1}, 422),  # at 30 s, where this video has no pictures
    ],
)
def test_pictures_that_are_not_there(
    service: Served, filled: str, path: str, query: dict[str, Any], status: int
) -> None:
    answer = service.of(filled, path, status, **query)
    assert answer.headers["content-type"] == PROBLEM


def test_pictures_of_what_has_none_or_is_gone(service: Served, tracked: str, videos: Path) -> None:
    assert "no pictures" in service.of(tracked, "frame", 422, time_s=0).json()["detail"]
    path = videos / "moved.mp4"
    path.write_bytes((videos / "match.mp4").read_bytes())
    gone = service.analysed(video_path=path.name, stages=EARLY)
    path.unlink()
    for what, query in (("frame", {"time_s": 0}), ("clip", {"from_s": 0, "to_s": 1})):
        answer = service.of(gone, what, 410, **query)
        assert str(videos) not in answer.text  # folders of the server are nobody's business


def test_pictures_beyond_those_that_wait_are_turned_away() -> None:
    # Else each of them would hold a thread, and there were none left for a status.
    turned_away = anyio.run(_crowd)
    assert (turned_away.status, turned_away.kind) == (503, "busy")


async def _crowd() -> ProblemError:
    gate = threading.Event()
    request: Any = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace()))
    request.app.state.pictures = anyio.CapacityLimiter(1)

    def picture() -> Response:
        gate.wait(60)
        return Response()

    async with anyio.create_task_group() as group:
        for _ in range(1 + pictures.MAY_WAIT):
            group.start_soon(pictures.aside, request, picture)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ProblemError) as raised:
            await pictures.aside(request, picture)
        gate.set()
    return raised.value


# -- errors


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing/here", None, 404),
        ("GET", f"/api/v1/pipeline/{UNKNOWN}/status", None, 404),
        ("GET", "/api/v1/pipeline/..%2f..%2fgeneration/status", None, 404),
        ("GET", "/api/v1/pipeline/p:jobs/results", None, 404),  # would be another key in Redis
        ("POST", f"/api/v1/pipeline/{UNKNOWN}/cancel", None, 404),
        ("DELETE", f"/api/v1/pipeline/{UNKNOWN}", None, 404),
        ("PUT", "/api/v1/process-video", None, 405),
        ("GET", "/api/v1/pipelines?state=lost", None, 422),
        ("GET", "/api/v1/pipelines?offset=99999999999999999999", None, 422),
        ("POST", "/api/v1/process-video", None, 422),
        ("POST", "/api/v1/process-video", b"{", 400),
        ("POST", "/api/v1/process-video", b"[" * 100_000, 400),  # deeper than any parser goes
        ("POST", "/api/v1/process-video", b"\xff\xfe{}", 400),
        ("POST", "/api/v1/process-video", b"9" * 5000, 400),  # longer than any number may be
        ("POST", "/api/v1/process-video", b" " * (2 << 20), 413),
    ],
)
def test_every_error_is_a_problem_document(
    service: Served, method: str, path: str, body: bytes | None, status: int
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = service.http.request(method, path, content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    problem = answer.json()
    assert problem["status"] == status
    assert problem["detail"]


def test_a_body_without_a_length_is_counted(service: Served) -> None:
    pieces = itertools.repeat(b" " * 65536, 64)
    headers = {"Content-Type": "application/json"}
    answer = service.http.post("/api/v1/process-video", content=pieces, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (413, PROBLEM)


def test_a_fault_of_the_service_tells_nothing_of_its_inside(service: Served) -> None:
    broken: Any = None
    with running(replace(service.parts, state=broken), log_level="critical") as url:
        answer = httpx.get(f"{url}/api/v1/pipelines")
    assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM)
    assert "NoneType" not in answer.text


# -- health


def test_health_names_what_is_away(service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PATIENCE_S", 0.5)
    hung = threading.Event()

    def away() -> str:
        raise ResourceError("Redis at 127.0.0.1:1 cannot be reached")

    def hangs() -> str:
        hung.wait(60)
        return "too late"

    parts = replace(
        service.parts,
        dependencies=(
            Dependency("redis", away),
            Dependency("storage", hangs),
            Dependency("broker", lambda: "answers"),
        ),
    )
    with running(parts) as url, httpx.Client(base_url=url) as http:
        assert http.get("/health/live").status_code == 200
        for path in ("/health", "/health/ready"):
            answer = http.get(path)
            found = {each["name"]: each["ok"] for each in answer.json()["dependencies"]}
            assert answer.status_code == 503
            assert found == {"redis": False, "storage": False, "broker": True}
        hung.set()


def test_without_workers_the_service_is_ready_and_degraded(service: Served) -> None:
    service.live()
    assert service.get("/health").json()["status"] == "ready"
    lonely = [
        replace(each, check=_nobody) for each in service.parts.dependencies if not each.required
    ]
    with running(replace(service.parts, dependencies=lonely)) as url:
        answer = httpx.get(f"{url}/health")
        assert httpx.get(f"{url}/health/ready").json()["status"] == "ready"
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


def _nobody() -> str:
    raise ResourceError("no live worker: start one")


def test_version_tells_what_runs(service: Served) -> None:
    service.parts.state.register(WorkerRecord("other", ("gpu",), ("runs:torch:cuda:f32",)))
    found = service.get("/version").json()
    assert found["stages"]["export"] >= 1
    assert len(found["models"]["detector.onnx"]) == 64
    assert "torch:cuda:f32" in found["backends"]  # what a worker has, not what this process has


# -- the document


@pytest.fixture(scope="module")
def document(service: Served) -> dict[str, Any]:
    return service.get("/openapi.json").json()  # type: ignore[no-any-return]


def _validate(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    whole = {**schema, "components": document["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)


def test_every_example_of_a_request_works(service: Served, document: dict[str, Any]) -> None:
    sent = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            for example in content.get("application/json", {}).get("examples", {}).values():
                answer = service.http.request(method, path, json=example["value"])
                assert answer.status_code == 202, answer.text
                service.http.post(answer.json()["links"]["cancel"])
                sent += 1
    assert sent == 2


def test_every_answer_has_an_example_that_fits_its_schema(document: dict[str, Any]) -> None:
    for operation in operations(document):
        for status, answer in operation["responses"].items():
            for media, content in answer.get("content", {}).items():
                if "json" in media:
                    assert "example" in content, (operation["operationId"], status)
                    _validate(document, content["schema"], content["example"])
            assert answer.get("content") or status in {"204", "304"}


def test_real_answers_fit_their_schemas(
    service: Served, document: dict[str, Any], match: str, tracked: str
) -> None:
    checked = set()
    for path, methods in document["paths"].items():
        for pipeline_id in (match, tracked, UNKNOWN):
            for table in ("identities",) if "{table}" in path else ("",):
                url = path.format(pipeline_id=pipeline_id, name="summary.json", table=table)
                answer = service.http.get(url, headers={"Accept": "application/json"})
                described = methods.get("get", {}).get("responses", {})
                media = answer.headers["content-type"].partition(";")[0]
                if "get" not in methods or str(answer.status_code) not in described:
                    assert answer.status_code == 405 or "get" in methods, url
                    continue
                content = described[str(answer.status_code)].get("content", {})
                assert media in content or "{name}" in path, (url, media)
                if "schema" in content.get(media, {}) and "{name}" not in path:
                    _validate(document, content[media]["schema"], answer.json())
                    checked.add((path, answer.status_code))
    good = {path for path, status in checked if status == 200}
    assert len(good) >= 11  # every GET that answers with JSON


def test_the_page_that_tries_requests_asks_no_other_host(service: Served) -> None:
    # on a machine without the internet it would stay white
    page = service.http.get("/docs").text
    places = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(places) >= 2
    for place in places:
        assert place.startswith("/")
        assert service.http.get(place).status_code == 200


def test_the_page_of_the_reference_is_the_document() -> None:
    from docs.api_reference import page

    written = Path(__file__).parents[1] / "docs" / "api-reference.md"
    assert written.read_text(encoding="utf-8") == page(), "run: python -m docs.api_reference"


# -- the commands


def _run(service: Served, *arguments: str) -> int:
    return main([*arguments, "--url", service.url])


def test_the_commands_see_and_steer_a_match(
    service: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline_id = service.submit(video_path="match.mp4", stages=EARLY)["pipeline_id"]
    assert _run(service, "status", pipeline_id) == 0
    assert "planning: ready" in capsys.readouterr().out
    for command, state in (("cancel", "cancelled"), ("retry", "queued")):
        assert _run(service, command, pipeline_id) == 0
        assert capsys.readouterr().out == f"{pipeline_id} is {state}\n"
    service.work()
    assert _run(service, "status", pipeline_id, "--segments") == 0
    shown = capsys.readouterr().out
    assert "completed" in shown
    assert "video_decoding" in shown
    assert _run(service, "list", "--state", "completed", "--limit", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "completed"
    assert _run(service, "list") == 0
    assert pipeline_id in capsys.readouterr().out


def test_the_command_results_fetches_every_file(
    service: Served, match: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(service, "results", match, "--out", str(tmp_path / "out"), "--json") == 0
    listed = json.loads(capsys.readouterr().out)["files"]
    fetched = {
        path.relative_to(tmp_path / "out").as_posix(): path.stat().st_size
        for path in (tmp_path / "out").rglob("*")
        if path.is_file() and ".footanalytics" not in path.parts
    }
    assert fetched == {entry["name"]: entry["size"] for entry in listed}
    assert "exports/second_spectrum_metadata.json" in fetched or "summary.json" in fetched


def test_results_of_two_matches_do_not_share_a_folder(
    service: Served, match: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ball.parquet").touch()
    assert _run(service, "results", match, "--out", str(tmp_path)) == 1
    assert capsys.readouterr().err.endswith("holds something else: choose another --out\n")
    assert _run(service, "results", match, "--out", str(tmp_path / "own")) == 0
    assert _run(service, "results", match, "--out", str(tmp_path / "own")) == 0  # once more


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["status", UNKNOWN], 2, "there is no pipeline"),
        (["results", "../x"], 2, "not the id of a match"),
        (["list", "--state", "lost"], 2, "state"),
        (["status", UNKNOWN, "--url", "ftp://x"], 2, "http://HOST:PORT"),
        (["status", UNKNOWN, "--url", "http://127.0.0.1:9"], 1, "start the service"),
    ],
)
def test_a_command_that_fails_says_why_in_one_line(
    service: Served,
    arguments: list[str],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = [] if "--url" in arguments else ["--url", service.url]
    assert main([*arguments, *url]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_what_the_state_does_not_allow_is_a_failure_no_bad_usage(
    service: Served, match: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(service, "cancel", match) == 1
    assert "completed" in capsys.readouterr().err


# -- the application itself


def test_the_application_is_light_until_it_starts() -> None:
    # Tools that only read the document must not need servers, models or settings.
    code = (
        "import sys, api.main; api.main.app.openapi();"
        "print([name for name in ('torch', 'openvino', 'cv2', 'infrastructure.bootstrap')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_wrong_settings_are_said_in_one_line() -> None:
    command = [sys.executable, "-m", "uvicorn", "api.main:app", "--log-level", "warning"]
    environment = {**os.environ, "REDIS_URL": "http://x"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "REDIS_URL=http://x: must be" in done.stderr
    assert done.stderr.count("\n") == 1


def test_on_the_cluster_a_lost_state_is_rebuilt_and_an_absent_redis_is_named(
    new_redis: Callable[..., RedisServer], tmp_path: Path, videos: Path
) -> None:
    server = new_redis()
    base = server.url.rpartition("/")[0]
    environment = {
        **os.environ,
        "REDIS_URL": f"{base}/0",
        "CELERY_BROKER_URL": f"{base}/1",
        "PULSAR_SERVICE_URL": "",
        "ARTIFACT_URL": str(tmp_path / "artifacts"),
        "ML_PIPELINE_VIDEO_ROOTS": str(videos),
    }
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "api.main:app", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            _until(lambda: _answers(http))
            found = http.get("/health").json()
            assert found["status"] == "degraded"  # nobody has started a worker
            record = http.post("/api/v1/process-video", json={"video_path": "match.mp4"}).json()
            status = record["links"]["status"]
            server.kill()
            away = http.get("/health")
            names = {each["name"]: each["ok"] for each in away.json()["dependencies"]}
            assert (away.status_code, names["redis"], names["storage"]) == (503, False, True)
            refused = http.post("/api/v1/process-video", json={"video_path": "match.mp4"})
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
            assert "127.0.0.1" not in refused.text
            server.erase()
            server.start()
            _until(lambda: http.get(status).status_code == 200)  # 503 at first, and rebuilt by it
            assert http.get(status).json()["state"] == "queued"
    finally:
        process.terminate()
        process.wait()


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/health/live").is_success
    except httpx.TransportError:
        return False
