"""The publisher, seen from outside: spans of what it sends, and how much that was."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from application.trace_context import TraceContext, span_id
from domain.pipeline import EventKind
from infrastructure.pulsar.publisher import Publisher, Topic
from infrastructure.pulsar.schemas import Message
from infrastructure.settings import Settings
from infrastructure.telemetry.match_spans import RETRY
from infrastructure.telemetry.serving import serve
from infrastructure.telemetry.traces import Spans, safely, spans_of

_OF_A_CELL = (EventKind.CELL_COMPLETED.value, EventKind.STAGE_COMPLETED.value)


class _Publication(NamedTuple):
    """A span of what is being sent: its name, its place in the match's trace, its parent."""

    name: str
    place: TraceContext
    parent: str
    first: Message


class WatchedPublisher(Publisher):
    """Each message carries the context of a span of its own, for the consumer to go on from.

    The events of a cell come from the cell's span, others from the match's; rows that are sent
    together share a span. Ids follow from the messages, so what is sent again says the same.
    """

    spans: Spans | None = None
    numbers: "RelayMetrics | None" = None

    def watch(self, settings: Settings) -> None:
        """Begin to count and to make spans, as far as that is switched on."""
        self.spans = spans_of("relay")
        if settings.ml_pipeline_metrics_port:
            self.numbers = RelayMetrics()
            serve(self.numbers.registry, settings)

    def send(self, topic: Topic, messages: Sequence[Message]) -> None:
        began = time.time()
        publications = _publications(topic, messages) if self.spans else {}
        super().send(topic, [_marked(each, publications) for each in messages])
        if self.numbers:
            self.numbers.published.labels(topic).inc(len(messages))
        for publication in {each.place: each for each in publications.values()}.values():
            safely(self._give, topic, publication, began)

    def close(self) -> None:
        super().close()
        if self.spans:
            self.spans.flush()

    def _give(self, topic: Topic, publication: _Publication, began: float) -> None:
        assert self.spans
        self.spans.give(
            publication.name,
            publication.place,
            publication.parent,
            (began, time.time()),
            {
                "messaging.system": "pulsar",
                "messaging.destination.name": f"{self._topics}.{topic}",
                "messaging.message.id": publication.first.properties["event_id"],
                "footanalytics.pipeline": publication.first.key,
            },
            kind="producer",
        )


class RelayMetrics:
    """What the relay counts."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter

        self.registry = CollectorRegistry()
        self.published = Counter(
            "footanalytics_events_published",
            "messages that Pulsar acknowledged",
            ["topic"],
            registry=self.registry,
        )


def _publications(topic: Topic, messages: Sequence[Message]) -> Mapping[int, _Publication]:
    """The span of each message, by its sequence id; none where the match is not traced."""
    found: dict[int, _Publication] = {}
    of_rows: dict[str, _Publication] = {}
    for message in messages:
        root = TraceContext.parse(message.properties.get("traceparent", ""))
        if root is None or not root.sampled:
            continue
        if topic == "match":
            one = of_rows.setdefault(message.key, _rows(root, message))
        else:
            one = _event(root, message)
        found[message.sequence] = one
    return found


def _event(root: TraceContext, message: Message) -> _Publication:
    """A domain event: a consequence of its cell, of the retry, or of the match."""
    event = message.record
    parent = root.span_id
    if event.kind in _OF_A_CELL:
        parent = span_id(message.key, event.attempt, event.cell)
    elif event.attempt:
        parent = span_id(message.key, event.attempt, RETRY)
    return _Publication(f"publish {event.kind}", _own(root, message), parent, message)


def _rows(root: TraceContext, first: Message) -> _Publication:
    return _Publication("publish match events", _own(root, first), root.span_id, first)


def _own(root: TraceContext, message: Message) -> TraceContext:
    return root._replace(span_id=span_id("publish", message.properties["event_id"]))


def _marked(message: Message, publications: Mapping[int, _Publication]) -> Message:
    publication = publications.get(message.sequence)
    if publication is None:
        return message
    return replace(
        message, properties={**message.properties, "traceparent": str(publication.place)}
    )
