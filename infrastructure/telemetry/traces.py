"""Spans by the OpenTelemetry SDK, which is imported only where the OTEL_... variables ask for it.

Every span is given when it is over, with ids that were known before (application/trace_context.py).
Nothing is kept open between processes, and one that dies leaves no half a trace.
"""

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Literal
from weakref import WeakSet

from application.trace_context import TraceContext
from domain.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Link, SpanContext

_log = logging.getLogger(__name__)
Kind = Literal["internal", "server", "producer", "consumer"]
Value = str | int | float | bool | Sequence[str]
NO_PARENT = "0" * 16
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_LINKS = 128
_FLUSH_MS = 3000


def safely(tell: Callable[..., None], *told: object) -> None:
    """Tell it; whatever goes wrong with that is not the work's trouble."""
    try:
        tell(*told)
    except Exception:  # the telemetry's edge
        _log.warning("telemetry failed; the work goes on", exc_info=True)


def chosen_exporter(environment: Mapping[str, str] = os.environ) -> str:
    """`otlp` or `console` as the standard variables say; empty where tracing is off.

    Raises:
        ConfigurationError: they ask for what is not there.
    """
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return ""
    asked = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if asked not in ("", "none", "otlp", "console"):
        raise ConfigurationError(
            f"OTEL_TRACES_EXPORTER={asked}: must be otlp, console or none (OTLP reaches the others)"
        )
    name = asked or ("otlp" if any(environment.get(each) for each in _ENDPOINTS) else "none")
    protocol = next((environment[each] for each in _PROTOCOLS if environment.get(each)), "")
    if name == "otlp" and protocol not in ("", "http/protobuf"):
        raise ConfigurationError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: must be http/protobuf, on port 4318 usually"
        )
    return "" if name == "none" else name


def spans_of(part: str) -> "Spans | None":
    """Where this process's spans go, as the environment says; None where tracing is off.

    Call it in the process that uses it, after any fork: it has a thread, one for all who ask.
    """
    name = chosen_exporter()
    return _spans(name, part, os.getpid()) if name else None


@lru_cache(1)
def _spans(name: str, part: str, _process: int) -> "Spans":
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return Spans(part, ConsoleSpanExporter())
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return Spans(part, OTLPSpanExporter())


def flush() -> None:
    """Send what waits in this process, which is about to end."""
    for spans in _all:
        spans.flush()


class Spans:
    """Sends spans of a part of the service, in batches, from a thread of its own."""

    def __init__(self, part: str, exporter: "SpanExporter") -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        class ChosenIds(RandomIdGenerator):
            def generate_trace_id(self) -> int:
                return int(_chosen.get().trace_id, 16)

            def generate_span_id(self) -> int:
                return int(_chosen.get().span_id, 16)

        given = os.environ.get("OTEL_SERVICE_NAME") or f"footanalytics-{part}"
        resource = Resource.create({"service.name": given, "service.namespace": "footanalytics"})
        self._provider = TracerProvider(resource=resource, id_generator=ChosenIds())
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("footanalytics")
        _all.add(self)

    def samples(self, trace_id: str) -> bool:
        """Whether a trace that begins here is recorded, as OTEL_TRACES_SAMPLER says."""
        result = self._provider.sampler.should_sample(None, int(trace_id, 16), "video_processing")
        return bool(result.decision.is_sampled())  # type: ignore[no-untyped-call]

    def give(
        self,
        name: str,
        place: TraceContext,
        parent: str,
        times: tuple[float, float],
        attributes: Mapping[str, Value],
        *,
        kind: Kind = "internal",
        links: Iterable[str] = (),
        error: str = "",
    ) -> None:
        """A span that is over: from one Unix time to another, under the span `parent`.

        `links` are ids of other spans of the trace.
        """
        if not place.sampled:
            return
        from opentelemetry import trace

        there = _remote(TraceContext(place.trace_id, parent))
        token = _chosen.set(place)
        try:
            span = self._tracer.start_span(
                name,
                trace.set_span_in_context(trace.NonRecordingSpan(there)),
                trace.SpanKind[kind.upper()],
                attributes,
                [_link(place.trace_id, each) for each in list(links)[:_LINKS]],
                round(times[0] * 1e9),
            )
        finally:
            _chosen.reset(token)
        if error:
            span.set_status(trace.Status(trace.StatusCode.ERROR, error))
        span.end(round(max(times) * 1e9))

    def flush(self) -> None:
        """Send what waits, for a process that is about to end; not for long."""
        self._provider.force_flush(_FLUSH_MS)

    def close(self) -> None:
        self.flush()
        self._provider.shutdown()


_all: WeakSet[Spans] = WeakSet()
_chosen: ContextVar[TraceContext] = ContextVar("chosen")


def _remote(place: TraceContext) -> "SpanContext":
    from opentelemetry.trace import SpanContext, TraceFlags

    return SpanContext(
        int(place.trace_id, 16),
        int(place.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _link(trace_id: str, span_id: str) -> "Link":
    from opentelemetry.trace import Link

    return Link(_remote(TraceContext(trace_id, span_id)))
