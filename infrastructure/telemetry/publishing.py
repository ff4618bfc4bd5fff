"""The publisher, seen from outside: spans of what it sends, and how much that was."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from application.trace_context import TraceContext, span_id
from domain.pipeline import EventKind
from infrastructure.pulsar.publisher import Publisher, Topic
from infrastructure.pulsar.schemas import Message
from infrastructure.telemetry.traces import Spans

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_OF_A_CELL = (EventKind.CELL_COMPLETED.value, EventKind.STAGE_COMPLETED.value)
_MATCH = "match events"


class WatchedPublisher(Publisher):
    """Each message carries the context of its own span, for the consumer to go on from.

    The events of a cell come from the cell's span, others from the match's. A match's rows share
    one span.
    """

    spans: Spans | None = None
    numbers: "RelayMetrics | None" = None

    def send(self, topic: Topic, messages: Sequence[Message]) -> None:
        began = time.time()
        places = {number: _place(each) for number, each in enumerate(_spoken(topic, messages))}
        super().send(topic, self._marked(topic, messages, places))
        if self.numbers:
            self.numbers.published.labels(topic).inc(len(messages))


class RelayMetrics:
    """What the relay counts."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter

        self.registry: CollectorRegistry = CollectorRegistry()
        self.published = Counter(
            "footanalytics_events_published",
            "messages that Pulsar acknowledged",
            ["topic"],
            registry=self.registry,
        )
