"""Matches that only log their story, relays in a hurry, and what a consumer sees of them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pulsar as client_library
import pyarrow as pa

from application.outbox import Outbox
from application.state import LogEntry, PipelineRecord, StateStore
from domain import tables
from domain.errors import ResourceError
from domain.grid import END, Cell
from domain.pipeline import DomainEvent, EventKind
from infrastructure.pulsar import schemas
from infrastructure.pulsar.circuit import Circuit
from infrastructure.pulsar.publisher import BrokerError, Publisher
from infrastructure.pulsar.relay import Relay

DEADLINE_S = 90.0
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
MATCH_KEY = "41d8a0be"


def story(pipeline_id: str, cells: int = 8) -> list[DomainEvent]:
    """What a small match logs: 4 + `cells` facts, the match events' completion among them."""
    end = Cell("event_detection", END)
    done = [
        DomainEvent(EventKind.CELL_COMPLETED, pipeline_id, Cell("player_detection", n), key=f"k{n}")
        for n in range(cells)
    ]
    return [
        DomainEvent(EventKind.PIPELINE_SUBMITTED, pipeline_id),
        DomainEvent(EventKind.PIPELINE_STARTED, pipeline_id),
        *done,
        DomainEvent(EventKind.STAGE_COMPLETED, pipeline_id, end, key=MATCH_KEY),
        DomainEvent(EventKind.PIPELINE_COMPLETED, pipeline_id),
    ]


def tell(store: StateStore, pipeline_id: str, cells: int = 8) -> list[str]:
    """Log a match's story; returns the event ids."""
    events = story(pipeline_id, cells)
    store.submit(PipelineRecord(pipeline_id, "{}", traceparent=TRACEPARENT), events)
    return [event.event_id for event in events]


def match_table(rows: int = 3, provisional: int = 0) -> pa.Table:
    """`rows` final match events, then `provisional` ones."""
    count = rows + provisional
    columns: dict[str, Any] = {
        "event": list(range(count)),
        "type": ["pass"] * count,
        "start_frame": [1510] * count,
        "start_s": [60.4] * count,
        "start_x": [-12.3] * count,
        "start_y": [4.5] * count,
        "end_frame": [1541] * count,
        "end_s": [61.64] * count,
        "end_x": [6.1] * count,
        "end_y": [-9.75] * count,
        "player": ["home 8"] * count,
        "receiver": ["home 11"] * count,
        "team": ["home"] * count,
        "outcome": ["complete"] * count,
        "confidence": [0.87] * count,
        "evidence": ["possession changed between team mates"] * count,
        "evidence_frames": [[1510, 1541]] * count,
        "provisional": [False] * rows + [True] * provisional,
    }
    return tables.make("match_events", columns)


def new_relay(
    url: str,
    topics: str,
    outbox: Outbox,
    match_events: Callable[[str], pa.Table | None] | None = None,
    batch: int = 5,
) -> Relay:
    return Relay(
        outbox,
        Publisher(url, topics, timeout_s=2),
        match_events or (lambda _: match_table()),
        Circuit(0.05, 0.3),
        poll_s=0.05,
        batch=batch,
    )


def drain(relay: Relay) -> None:
    """Publish all that waits; a relay that was killed may still hold the place for a moment."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            while relay.step():
                pass
            break
        except BrokerError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


@contextmanager
def draining(relay: Relay) -> Iterator[None]:
    drain(relay)
    try:
        yield
    finally:
        relay.close()


def publish(relay: Relay) -> None:
    """Publish all that waits, and stop in order."""
    with draining(relay):
        pass


@contextmanager
def running(relay: Relay) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=relay.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)


@contextmanager
def connected(url: str) -> Iterator[Any]:
    logger = client_library.ConsoleLogger(client_library.LoggerLevel.Error)
    with closing(client_library.Client(url, logger=logger)) as client:
        yield client


def received(url: str, topic: str) -> list[Any]:
    """What a consumer that drops no repeats has seen of the topic, from its beginning."""
    with connected(url) as client:
        reader = client.create_reader(topic, client_library.MessageId.earliest)
        messages = []
        while reader.has_message_available():
            messages.append(reader.read_next(10_000))
        return messages


def seen(url: str, topics: str, topic: str = "pipeline") -> list[str]:
    return [message.properties()["event_id"] for message in received(url, f"{topics}.{topic}")]


def row_ids(pipeline_id: str, rows: int = 3) -> list[str]:
    event = DomainEvent(
        EventKind.STAGE_COMPLETED, pipeline_id, Cell("event_detection", END), key=MATCH_KEY
    )
    entry = LogEntry(1, 1, 0.0, event)
    return [m.properties["event_id"] for m in schemas.match_messages(entry, match_table(rows))]


def cut_off(*_: object) -> None:
    """Stands in for a method at whose call everything ends."""
    raise ResourceError("cut")
