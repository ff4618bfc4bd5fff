"""A real cluster whose processes send their spans to a stand-in collector, and one match in it."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pulsar

from application.trace_context import TraceContext
from deploy.servers import RedisServer, free_port
from infrastructure.telemetry.traces import Spans
from tests.faults.cluster import Program
from tests.matches import QUICK, render_match
from tests.otlp import Collector, Span, collector
from tests.servers import pulsar_client

CALLER = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
LIMIT_S = 180.0
T = TypeVar("T")


@dataclass
class TracedMatch:
    """What one match left: its spans, its messages, the log lines and numbers of each process."""

    pipeline_id: str
    spans: list[Span]
    messages: list[Mapping[str, str]]
    lines: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def traced_match(folder: Path, pulsar_url: str, seconds: float = 3.0) -> Iterator[TracedMatch]:
    """Submit a match by HTTP, in the trace of a caller, and wait for its last message."""
    with ExitStack() as until:
        spans = until.enter_context(collector())
        redis = until.enter_context(RedisServer(folder / "redis"))
        (folder / "videos").mkdir()
        video = render_match(folder / "videos", seconds=seconds)
        namespace, ports = "public/default", {n: free_port() for n in ("api", "worker", "relay")}
        topics = f"persistent://{namespace}/footanalytics"
        given = _environment(folder, redis, pulsar_url, spans)
        programs = _programs(folder, given, ports)
        for program in programs.values():
            until.callback(program.kill)
        api = httpx.Client(base_url=f"http://127.0.0.1:{ports['api'] + 1}", timeout=30)
        until.callback(api.close)
        _wait(lambda: api.get("/health").json()["status"] == "ready")
        match = _submit(api, video)
        with ThreadPoolExecutor(1) as consumer:
            consuming = consumer.submit(_consumed, pulsar_url, f"{topics}.pipeline", match, spans)
            messages = consuming.result(LIMIT_S)
        _wait(lambda: api.get(f"/api/v1/pipeline/{match}/status").json()["state"] == "completed")
        numbers = {name: httpx.get(f"http://127.0.0.1:{p}").text for name, p in ports.items()}
        for program in programs.values():
            program.send(signal.SIGTERM)
        for program in programs.values():
            program.stop()
        lines = {name: list(_lines(program)) for name, program in programs.items()}
        yield TracedMatch(match, spans.of(CALLER.trace_id), messages, lines, numbers)


def _environment(
    folder: Path, redis: RedisServer, pulsar_url: str, spans: Collector
) -> Mapping[str, str]:
    return {
        "REDIS_URL": redis.database_url(0),
        "CELERY_BROKER_URL": redis.database_url(1),
        "ARTIFACT_URL": str(folder / "artifacts"),
        "ML_PIPELINE_VIDEO_ROOTS": str(folder / "videos"),
        "PULSAR_SERVICE_URL": pulsar_url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": spans.url,
        "OTEL_BSP_SCHEDULE_DELAY": "600000",  # so what waits must be sent when processes end
        "TMPDIR": str(folder),
    }


def _programs(
    folder: Path, given: Mapping[str, str], ports: Mapping[str, int]
) -> Mapping[str, Program]:
    """The worker forks: what it counts and traces is done in two children."""
    celery = ("celery", "-A", "infrastructure.celery_app", "worker", "-Q", "gpu,cpu")
    commands = {
        "api": ("uvicorn", "api.main:app", "--port", str(ports["api"] + 1)),
        "worker": (*celery, "--pool", "prefork", "--concurrency", "2", "--without-mingle"),
        "relay": ("infrastructure.relay",),
    }
    return {
        name: Program(
            folder / f"{name}.log", command, {**given, "ML_PIPELINE_METRICS_PORT": str(ports[name])}
        )
        for name, command in commands.items()
    }


def _submit(api: httpx.Client, video: Path) -> str:
    answer = api.post(
        "/api/v1/process-video",
        json={"video_path": str(video), **QUICK},
        headers={"traceparent": str(CALLER)},
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["pipeline_id"])


def _consumed(url: str, topic: str, match: str, spans: Collector) -> list[Mapping[str, str]]:
    """The match's messages up to its last; each is worked on in a span of the consumer's own."""
    own = Spans("consumer", _exporter(spans))
    client = pulsar_client(url)
    consumed: list[Mapping[str, str]] = []
    try:
        reader = client.create_reader(topic, pulsar.MessageId.earliest)
        while not consumed or consumed[-1]["kind"] != "PipelineCompleted":
            message = reader.read_next(int(LIMIT_S * 1000))
            if message.partition_key() == match:
                consumed.append(message.properties())
                _work_on(consumed[-1]["traceparent"], own)
        return consumed
    finally:
        own.close()
        client.close()


def _work_on(traceparent: str, own: Spans) -> None:
    place = TraceContext.parse(traceparent)
    assert place
    here, now = place._replace(span_id=os.urandom(8).hex()), time.time()
    own.give("consume", here, place.span_id, (now, now), {}, kind="consumer")


def _exporter(spans: Collector) -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(f"{spans.url}/v1/traces")


def _lines(program: Program) -> Iterator[dict[str, Any]]:
    """The log lines; Celery's banner and uvicorn's first words are none."""
    for line in program.said().splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def _wait(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            if look():
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.2)
