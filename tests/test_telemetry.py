"""Traces, numbers and log lines of toy matches on the real stores, and of a real cluster."""

import io
import json
import logging
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from application.admission import Admitter
from application.hold import Renewer
from application.service import Service
from application.state import PipelineRecord
from application.trace_context import TraceContext, begin, caller_of
from application.worker import Ability, Worker
from domain.errors import ConfigurationError, InputError, ResourceError
from domain.pipeline import PipelineState
from infrastructure.settings import Settings
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore
from infrastructure.telemetry import logs
from infrastructure.telemetry.instruments import Telemetry
from infrastructure.telemetry.match_spans import MatchSpans
from infrastructure.telemetry.service_metrics import service_registry
from infrastructure.telemetry.serving import serve
from infrastructure.telemetry.traces import Spans, chosen_exporter
from infrastructure.telemetry.work_metrics import WorkMetrics
from tests.otlp import Collector, Span, collector
from tests.toy_match import ABLE, FRAMES, SEGMENTS, TOTAL, Happening, ToyCluster
from tests.traced import CALLER as ANALYST
from tests.traced import traced_match

IDS = st.integers(1, 2**64 - 1).map(lambda number: f"{number:016x}")
JOBS = SEGMENTS * 2 + 3 + 1
"""Of the toy match: look and walk on each segment, three END cells, the admission."""


class TracedToys:
    """A toy cluster with instruments of its own."""

    def __init__(self, folder: Path, spans: Spans | None, happening: Happening) -> None:
        self.state = SQLiteStateStore(folder / "state.sqlite")
        self.spans = spans
        self.metrics = WorkMetrics()
        made = MatchSpans(spans) if spans else None
        self.telemetry = Telemetry(self.state, "w", made, self.metrics)
        artifacts = FolderArtifactStore(folder / "artifacts")
        self.toys = ToyCluster(self.state, artifacts, happening)
        self.service = Service(
            self.state, self.toys.ledger, lambda *_: None, time.time, self.telemetry
        )
        self.toys.service = self.service

    def run(self) -> None:
        """Take jobs until none is left, whatever is put off for a while."""
        self.toys.worker()
        worker = Worker(
            self.state,
            self.toys.ledger,
            self.toys,
            Admitter(self.state, self.toys.artifacts, self.toys.ledger, self.toys.plan),
            Ability("w", ABLE),
            Renewer(self.state, 30.0, 1e9, lambda _: None, lambda: False, self.telemetry),
            lambda *_: None,
            self.telemetry,
            self.telemetry,
        )
        while self.state.pipelines(state=PipelineState.RUNNING) or self.state.pipelines(
            state=PipelineState.QUEUED
        ):
            if not (worker.take("cpu") or worker.take("gpu")):
                self.state.expire(3, "lost")
                time.sleep(0.02)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"footanalytics_{name}", labels) or 0.0


@pytest.fixture
def collected() -> Iterator[Collector]:
    with collector() as running:
        yield running


@pytest.fixture
def spans(collected: Collector) -> Iterator[Spans]:
    made = spans_to(collected)
    yield made
    made.close()


def spans_to(collected: Collector) -> Spans:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return Spans("toys", OTLPSpanExporter(f"{collected.url}/v1/traces"))


def nothing(_stage: str, _frame: int) -> None: ...


def roots(found: list[Span]) -> list[Span]:
    """The spans whose parent is none of them."""
    known = {span.span for span in found}
    return [span for span in found if span.parent not in known]


# -- traces


@given(IDS, IDS, st.text())
def test_the_root_tells_who_called(caller: str, trace: str, pipeline: str) -> None:
    # whoever ends the match has nothing but its record
    root = begin(pipeline, str(TraceContext(trace * 2, caller)))
    assert root.trace_id == trace * 2
    assert caller_of(pipeline, root) == caller
    assert set(caller_of(pipeline, begin(pipeline))) == {"0"}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
    ],
)
def test_a_header_that_is_no_trace_context_is_passed_over(header: str) -> None:
    # the rules of W3C Trace Context; anybody may send anything
    assert TraceContext.parse(header) is None


def test_a_later_version_may_say_more() -> None:
    text = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes"
    place = TraceContext.parse(text)
    assert str(place) == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_match_is_one_tree(tmp_path: Path, collected: Collector, spans: Spans) -> None:
    cluster = TracedToys(tmp_path, spans, nothing)
    match = cluster.toys.submit(traceparent=str(ANALYST))
    cluster.run()
    spans.flush()
    found = collected.spans
    assert {span.trace for span in found} == {ANALYST.trace_id}
    (root,) = roots(found)
    assert (root.name, root.parent) == ("video_processing", ANALYST.span_id)
    assert root.attributes["footanalytics.pipeline"] == match
    assert len({span.span for span in found}) == len(found) == JOBS + 2  # the root, and submit
    names = Counter(span.name for span in found)
    assert names["look"] == names["walk"] == SEGMENTS
    assert names["admission"] == names["total end"] == names["submit"] == 1


def test_a_cell_links_to_the_cells_that_it_reads(
    tmp_path: Path, collected: Collector, spans: Spans
) -> None:
    cluster = TracedToys(tmp_path, spans, nothing)
    cluster.toys.submit()
    cluster.run()
    spans.flush()
    of_cell = {
        cell: span
        for span in collected.spans
        for cell in (span.attributes.get("footanalytics.cells") or ())  # type: ignore[attr-defined]
    }
    read = {of_cell["walk/1"].span, of_cell["look/2"].span}
    assert set(of_cell["walk/2"].links) == read
    assert len(of_cell["look/end"].links) == SEGMENTS


def test_a_failed_try_is_a_span_of_its_own(
    tmp_path: Path, collected: Collector, spans: Spans
) -> None:
    tries = Counter[str]()

    def fails_once(stage: str, frame: int) -> None:
        tries[f"{stage} {frame}"] += 1
        if tries["walk 5"] == 1 and (stage, frame) == ("walk", 5):
            raise ValueError("broken")

    cluster = TracedToys(tmp_path, spans, fails_once)
    cluster.toys.submit()
    cluster.run()
    spans.flush()
    walks = [s for s in collected.spans if s.attributes.get("footanalytics.cells") == ["walk/1"]]
    assert sorted(span.attributes["footanalytics.outcome"] for span in walks) == ["again", "done"]  # type: ignore[type-var]
    failed = next(span for span in walks if span.error)
    assert "ValueError: broken" in failed.error
    assert {span.attributes["footanalytics.failures"] for span in walks} == {0, 1}
    assert len(roots(collected.spans)) == 1
    assert cluster.count("errors_total", stage="walk", kind="StageError") == 1
    assert cluster.count("jobs_total", queue="cpu", outcome="again") == 1


def test_a_retry_has_a_span_under_the_root(
    tmp_path: Path, collected: Collector, spans: Spans
) -> None:
    broken = [True]

    def fails(stage: str, _frame: int) -> None:
        if stage == "total" and broken:
            raise InputError("no such thing")

    cluster = TracedToys(tmp_path, spans, fails)
    match = cluster.toys.submit()
    cluster.run()
    broken.clear()
    cluster.service.retry(match)
    cluster.run()
    spans.flush()
    named = {span.name: span for span in collected.spans}
    assert named["video_processing"].error == "no such thing"
    assert named["retry"].parent == named["video_processing"].span
    assert not named["retry"].error
    again = [s for s in collected.spans if s.parent == named["retry"].span]
    assert {"admission", "total end"} == {span.name for span in again}
    assert cluster.count("matches_ended_total", state="failed") == 1
    assert cluster.count("matches_ended_total", state="completed") == 1


def test_a_cancelled_match_ends_its_trace(
    tmp_path: Path, collected: Collector, spans: Spans
) -> None:
    cluster = TracedToys(tmp_path, spans, nothing)
    cluster.service.cancel(cluster.toys.submit())
    spans.flush()
    ended = next(span for span in collected.spans if span.name == "video_processing")
    assert ended.attributes["footanalytics.state"] == "cancelled"


def test_who_does_not_record_is_not_recorded(
    tmp_path: Path, collected: Collector, spans: Spans
) -> None:
    # the caller's decision counts for all of the trace
    cluster = TracedToys(tmp_path, spans, nothing)
    cluster.toys.submit(traceparent=str(ANALYST._replace(sampled=False)))
    cluster.run()
    spans.flush()
    assert collected.spans == []


def test_the_sampler_decides_once_for_a_match(
    tmp_path: Path, collected: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    some = spans_to(collected)
    cluster = TracedToys(tmp_path, some, nothing)
    ids = [cluster.toys.submit() for _ in range(12)]
    cluster.run()
    some.close()
    records = [cluster.toys.record(each) for each in ids]
    places = [TraceContext.parse(record.traceparent) for record in records]
    recorded = {place.trace_id for place in places if place and place.sampled}
    traces = Counter(span.trace for span in collected.spans)
    assert set(traces) == recorded
    assert set(traces.values()) <= {JOBS + 2}  # all of a match, or nothing


def test_a_collector_that_is_away_costs_no_match(tmp_path: Path) -> None:
    away = Collector("http://127.0.0.1:1")
    spans = spans_to(away)
    cluster = TracedToys(tmp_path, spans, nothing)
    match = cluster.toys.submit()
    cluster.run()
    assert cluster.toys.result(match) == TOTAL
    spans._provider.shutdown()


def test_telemetry_that_breaks_costs_no_match(
    tmp_path: Path, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(spans, "give", breaks)
    cluster = TracedToys(tmp_path, spans, nothing)
    match = cluster.toys.submit()
    cluster.run()
    assert cluster.toys.result(match) == TOTAL


@pytest.mark.parametrize(
    ("environment", "chosen"),
    [
        ({}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, ""),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, ""),
    ],
)
def test_the_standard_variables_switch_traces_on(environment: dict[str, str], chosen: str) -> None:
    assert chosen_exporter(environment) == chosen


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "must be otlp, console or none"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "must be http/protobuf",
        ),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(environment: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        chosen_exporter(environment)
    assert "\n" not in str(refused.value)


OFF = """
import sys, threading, tempfile, pathlib
from tests.toy_match import ToyCluster
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore
from infrastructure.telemetry.instruments import instruments
folder = pathlib.Path(sys.argv[1])
state = SQLiteStateStore(folder / "state.sqlite")
watched = instruments("worker", state)
toys = ToyCluster(state, FolderArtifactStore(folder / "artifacts"))
worker = toys.worker()
worker._instruments = worker._observer = watched
toys.submit()
toys.run(worker)
heavy = {name.partition(".")[0] for name in sys.modules} & {"opentelemetry", "prometheus_client"}
print(sorted(heavy), [thread.name for thread in threading.enumerate()])
"""


def test_off_means_neither_libraries_nor_threads(tmp_path: Path) -> None:
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    said = subprocess.run(
        [sys.executable, "-c", OFF, str(tmp_path)],
        env=quiet,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "[] ['MainThread', 'renewer']"


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


# -- the real cluster


@pytest.mark.slow
def test_from_the_request_to_the_consumer_in_one_tree(tmp_path: Path, pulsar: str) -> None:
    # four processes, one of them forked twice: none knows of another's spans
    with traced_match(tmp_path, pulsar) as match:
        pass
    (root,) = roots(match.spans)
    assert (root.name, root.parent) == ("video_processing", ANALYST.span_id)
    names = Counter(span.name for span in match.spans)
    assert names["pass"] == names["player_detection"] == names["ball_tracking"] == 3
    assert names["submit"] == names["admission"] == names["export end"] == 1
    assert names["publish match events"] <= 1
    assert names["consume"] == len(match.messages)
    by_id = {span.span: span for span in match.spans}
    assert len(by_id) == len(match.spans)
    for consumed in (span for span in match.spans if span.name == "consume"):
        assert by_id[consumed.parent].name.startswith("publish ")
    workers = {s.attributes["footanalytics.worker"] for s in match.spans if s.name == "pass"}
    assert all(workers)
    assert {span.service for span in match.spans} == {
        f"footanalytics-{part}" for part in ("api", "worker", "relay", "consumer")
    }
    assert "footanalytics_stage_frames_total" in match.numbers["worker"]
    assert "footanalytics_frames_total 75.0" in match.numbers["worker"]  # 3 s at 25 a second
    assert 'footanalytics_redis_memory_bytes{server="state"}' in match.numbers["api"]
    assert "footanalytics_events_published_total" in match.numbers["relay"]
    for part in ("api", "worker", "relay"):
        assert all(line["part"] == part for line in match.lines[part])
