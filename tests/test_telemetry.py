"""Traces of toy matches, and of a match in a real cluster."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.trace_context import TraceContext, begin, caller_of
from domain.errors import ConfigurationError, InputError
from infrastructure.telemetry.traces import Spans, chosen_exporter
from tests.otlp import Collector, Span, collector
from tests.toy_match import SEGMENTS, TOTAL
from tests.traced import CALLER as ANALYST
from tests.traced import traced_match
from tests.traced_toys import JOBS, TracedToys, nothing

IDS = st.integers(1, 2**64 - 1).map(lambda number: f"{number:016x}")


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
