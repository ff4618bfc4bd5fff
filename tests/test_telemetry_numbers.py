"""What workers and the service count, and their log lines, on toy matches."""

import asyncio
import io
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from application.state import PipelineRecord
from application.watchers import Watchers
from domain.errors import InputError, ResourceError
from infrastructure.settings import Settings
from infrastructure.telemetry import logs
from infrastructure.telemetry.service_metrics import service_registry
from infrastructure.telemetry.serving import serve
from tests.toy_match import FRAMES, SEGMENTS
from tests.traced import CALLER as ANALYST
from tests.traced_toys import JOBS, TracedToys, nothing

# -- numbers


def test_workers_count_what_they_do(tmp_path: Path) -> None:
    cluster = TracedToys(tmp_path, None, nothing)
    cluster.toys.submit()
    cluster.run()
    assert cluster.count("jobs_total", queue="gpu", outcome="done") == SEGMENTS
    assert cluster.count("jobs_total", queue="cpu", outcome="done") == JOBS - SEGMENTS
    assert cluster.count("stage_frames_total", stage="look") == SEGMENTS * FRAMES
    assert cluster.count("frames_total") == SEGMENTS * FRAMES
    assert cluster.count("stage_seconds_count", stage="walk", part="segment") == SEGMENTS
    assert cluster.count("stage_seconds_count", stage="walk", part="end") == 1
    assert cluster.count("match_seconds_count") == 1


def test_what_is_known_already_counts_no_time(tmp_path: Path) -> None:
    # else the seconds of a stage would fall with each repeated match
    cluster = TracedToys(tmp_path, None, nothing)
    cluster.toys.submit()
    cluster.run()
    cluster.toys.submit()
    cluster.run()
    assert cluster.count("jobs_total", queue="gpu", outcome="done") == 2 * SEGMENTS
    assert cluster.count("stage_seconds_count", stage="walk", part="segment") == SEGMENTS


FORKS = """
import os, sys
from infrastructure.telemetry.work_metrics import WorkMetrics, share, forget
folder = share()
for number in range(3):
    if os.fork() == 0:
        WorkMetrics.here().frames.inc(10)
        os._exit(0)
for number in range(3):
    os.wait()
from infrastructure.telemetry.serving import worker_registry
from prometheus_client import generate_latest
print(generate_latest(worker_registry(folder)).decode())
forget()
print(folder.exists())
"""


def test_processes_of_one_worker_are_added_up() -> None:
    said = subprocess.run(
        [sys.executable, "-c", FORKS], capture_output=True, text=True, check=True
    ).stdout
    assert "footanalytics_frames_total 30.0" in said
    assert said.strip().endswith("False")  # the folder is gone


def test_a_port_that_is_taken_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings.load({"ML_PIPELINE_METRICS_PORT": str(port)})
        serve(CollectorRegistry(), settings)()
    assert f"127.0.0.1:{port} cannot be listened on" in caplog.text


def numbers(registry: Any) -> dict[str, float]:
    """Samples as they are written: name{label="value"}."""
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[sample.name.removeprefix("footanalytics_") + f"{{{labels}}}"] = sample.value
    return found


def test_the_service_tells_what_waits(tmp_path: Path) -> None:
    cluster = TracedToys(tmp_path, None, nothing)
    waiting = PipelineRecord("0" * 32, "{}", submitted_at=time.time() - 100)
    cluster.state.submit(waiting, ())
    cluster.toys.worker()
    state, artifacts = cluster.state, cluster.toys.artifacts
    registry = service_registry(state, artifacts, lambda: {"state": (5.0, 9.0)}, "1.2")
    told = numbers(registry)
    assert told['queue_ready{priority="normal",queue="cpu"}'] == 1
    assert told['workers{queue="gpu"}'] == 1
    assert told['matches{state="queued"}'] == 1
    assert 100 <= told['oldest_waiting_seconds{kind="match"}'] < 130
    assert told['redis_memory_bytes{server="state"}'] == 5
    assert told["storage_free_bytes{}"] > 0
    assert told['build_info{version="1.2"}'] == 1
    assert "relay_lag_seconds{}" not in told  # no relay has run


def test_dead_letters_and_the_lag_are_told(tmp_path: Path) -> None:
    def fails(stage: str, _frame: int) -> None:
        if stage == "total":
            raise InputError("no such thing")

    cluster = TracedToys(tmp_path, None, fails)
    cluster.toys.submit()
    cluster.run()
    cluster.state.read_up_to("relay", cluster.state.log(0)[2].number)
    told = numbers(service_registry(cluster.state, cluster.toys.artifacts, dict, "1"))
    assert told["dead_letters{}"] == 1
    assert told['matches{state="failed"}'] == 1
    assert told["relay_lag_events{}"] == len(cluster.state.log(0)) - 3
    assert told["relay_lag_seconds{}"] >= 0


def test_what_cannot_be_read_is_said_and_left_out(tmp_path: Path) -> None:
    def away() -> dict[str, tuple[float, float]]:
        raise ResourceError("Redis is away")

    cluster = TracedToys(tmp_path, None, nothing)
    told = numbers(service_registry(cluster.state, cluster.toys.artifacts, away, "1"))
    assert told['readable{source="servers"}'] == 0
    assert told['readable{source="state"}'] == 1
    assert not any(name.startswith("redis_memory") for name in told)


def test_watchers_tell_how_late_they_are_told(tmp_path: Path) -> None:
    # the state's own time of a change counts, not when this process read it
    cluster = TracedToys(tmp_path, None, nothing)
    match = cluster.toys.submit()
    heard: list[float] = []

    async def watch() -> None:
        watchers = Watchers(cluster.state, cluster.toys.artifacts, told_after=heard.append)
        async with watchers.watching(match) as watching:
            cluster.service.cancel(match)
            while await watching.next():
                pass

    began = time.time()
    asyncio.run(watch())
    assert len(heard) == 1
    assert 0 <= heard[0] <= time.time() - began


# -- log lines


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """What is logged, in JSON; afterwards logging is as it was."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("info", "worker", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_lines_of_a_job_name_it(tmp_path: Path, said: io.StringIO) -> None:
    def tells(stage: str, frame: int) -> None:
        if (stage, frame) == ("walk", 5):
            logging.getLogger("stages.walk").info("at %d", frame)

    cluster = TracedToys(tmp_path, None, tells)
    match = cluster.toys.submit(traceparent=str(ANALYST))
    cluster.run()
    logging.getLogger("after").info("later")
    told, later = lines(said)
    assert (told["message"], told["level"], told["part"]) == ("at 5", "info", "worker")
    assert (told["pipeline"], told["cells"], told["worker"]) == (match, ["walk/1"], "w")
    assert told["trace_id"] == ANALYST.trace_id
    assert told["token"] > 0
    assert "pipeline" not in later


def test_no_secret_is_logged(said: io.StringIO) -> None:
    log = logging.getLogger("x")
    log.warning("cannot reach %s", "rediss://user:hunter2@redis:6379/0?password=hunter3")
    try:
        raise OSError("https://storage/a?X-Amz-Signature=hunter4")
    except OSError:
        log.exception("broken")
    assert "hunter" not in said.getvalue()
    assert "OSError" in lines(said)[1]["exception"]


def test_the_level_counts_and_clients_are_quiet(said: io.StringIO) -> None:
    logging.getLogger("ours").debug("no")
    logging.getLogger("httpx").info("no")
    logging.getLogger("ours").info("yes")
    assert [line["message"] for line in lines(said)] == ["yes"]


def test_people_get_plain_lines() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = Terminal()
    try:
        logs.configure("info", "api", stream)
        structlog.contextvars.bind_contextvars(trace_id="abc")
        logging.getLogger("x").info("hello")
    finally:
        structlog.contextvars.clear_contextvars()
        root.handlers[:] = before
        root.setLevel(level)
    assert "hello" in stream.getvalue()
    assert "abc" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
