"""The relay: takes the log's entries in order to Pulsar, each once.

Its position is written after the broker acknowledged; after a crash in between it sends again,
with the same sequence ids, and the broker drops what it has. Three things can break that, and all
are looked at whenever the relay connects:

- the state was lost and built anew with a higher generation: it logs facts again under new
  numbers. Their event ids are the same, so those on the broker are read back and passed over.
- the state was lost and its numbers fell, below what the broker has seen: it would drop all that
  comes. Everything that waits is lifted above.
- both at once: lifting makes it the first case.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence

import pyarrow as pa

from application import records
from application.checkpoints import Checkpoints
from application.outbox import Outbox
from application.ports import ArtifactStore
from application.state import LogEntry
from domain import tables
from domain.errors import ArtifactError, FootAnalyticsError, InputError, TableError
from infrastructure.pulsar.circuit import Circuit
from infrastructure.pulsar.published import PublishedIds
from infrastructure.pulsar.publisher import PENDING, SCHEMAS, BrokerError, Publisher, Topic
from infrastructure.pulsar.schemas import (
    Message,
    ends_the_match,
    match_messages,
    number_of_match,
    pipeline_message,
)

_log = logging.getLogger(__name__)
_READ_TRIES = 8
"""How often match events that cannot be read are tried before the others go on without them."""
_REPORT_S = 60.0


class Relay:
    """Publishes what waits in the outbox. One runs at a time; a second waits for its place.

    `match_events` gives the table of a key of event_detection's END cell, None where it is gone.
    """

    def __init__(
        self,
        outbox: Outbox,
        publisher: Publisher,
        match_events: Callable[[str], pa.Table | None],
        circuit: Circuit | None = None,
        poll_s: float = 0.2,
        batch: int = PENDING,
    ) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._match_events = match_events
        self._circuit = circuit or Circuit()
        self._poll_s = poll_s
        self._linked = False
        self._batch = batch
        self._before: dict[Topic, PublishedIds] = {}
        self._read_failures = 0
        self._sent = 0
        self._reported_at = time.monotonic()

    def run(self, stop: threading.Event) -> None:
        """Publish until `stop` is set; what is under way then is finished.

        Raises:
            InputError: the settings are wrong; anything else is tried again.
        """
        try:
            while not stop.is_set():
                stop.wait(self._turn())
        finally:
            self.close()

    def _turn(self) -> float:
        """One step; returns how long to wait before the next."""
        try:
            published = self.step()
            self._report()
        except InputError:
            raise
        except FootAnalyticsError as error:
            if isinstance(error, BrokerError):
                self._spill()
            return self._circuit.wait_s()
        return 0.0 if published else self._poll_s

    def step(self) -> int:
        """Publish the next entries; returns how many.

        Raises:
            FootAnalyticsError: Pulsar, the state or the storage failed; the next step tries again.
        """
        try:
            return self._circuit.call(self._publish_next)
        except BaseException:
            self._linked = False
            raise

    def _publish_next(self) -> int:
        if not self._linked:
            self._link()
        entries = self._outbox.read(self._batch)
        if self._outbox.moved:
            _log.info("the state was built anew: comparing with what Pulsar has")
            self._link()
            entries = self._outbox.read(self._batch)
        if entries:
            self._publish(entries)
        return len(entries)

    # -- connecting

    def _link(self) -> None:
        self._linked = False
        self._outbox.open()
        self._publisher.connect()
        last = self._last_number()
        if self._has_fallen(last):
            _log.warning("the log's numbers are below Pulsar's %d: lifting them above", last)
            self._outbox.lift(last)
        self._read_back()
        self._linked = True
        _log.info("connected to Pulsar: %d events wait", self._outbox.lag())

    def _last_number(self) -> int:
        """The highest log number that the broker has seen; -1 for none."""
        of_match = number_of_match(self._publisher.last_sequence("match"))
        return max(self._publisher.last_sequence("pipeline"), of_match)

    def _has_fallen(self, last: int) -> bool:
        """Whether entries that the broker never saw have, or will have, numbers that it saw."""
        if last <= self._outbox.position or self._sent_by_us():
            return False
        first = self._outbox.read(1)
        return self._outbox.generation <= last >> 32 or bool(first and first[0].number <= last)

    def _sent_by_us(self) -> bool:
        """Whether what the broker saw last is what waits here under that number.

        So it is after a crash between the broker's answer and our note of it.
        """
        number = self._publisher.last_sequence("pipeline")
        if number > self._outbox.position:
            entry = self._outbox.entry(number)
            message = self._publisher.last_message("pipeline")
            if not entry or (message and message.event_id != entry.event.event_id):
                return False
        number = number_of_match(self._publisher.last_sequence("match"))
        if number > self._outbox.position:
            entry = self._outbox.entry(number)
            message = self._publisher.last_message("match")
            if not entry or (message and message.key != entry.event.pipeline_id):
                return False
        return True

    def _read_back(self) -> None:
        for topic in SCHEMAS:
            self._before[topic] = PublishedIds()
            for event_id in self._publisher.published(topic, self._outbox.generation):
                self._before[topic].add(event_id)

    # -- publishing

    def _publish(self, entries: Sequence[LogEntry]) -> None:
        """The rows of a match go first: who sees its stage completed finds them all there."""
        fresh = [entry for entry in entries if not self._is_known("pipeline", _id_of(entry))]
        for entry in filter(ends_the_match, fresh):
            self._publish_match(entry)
        self._publisher.send("pipeline", [pipeline_message(entry) for entry in fresh])
        for entry in fresh:
            if entry.number >> 32 < self._outbox.generation:  # it may come once more
                self._before["pipeline"].add(uuid.UUID(_id_of(entry)).bytes)
        self._outbox.done(entries[-1].number)
        self._sent += len(fresh)

    def _publish_match(self, entry: LogEntry) -> None:
        rows = [
            message
            for message in self._rows(entry)
            if not self._is_known("match", message.properties["event_id"])
        ]
        for first in range(0, len(rows), PENDING):
            self._publisher.send("match", rows[first : first + PENDING])

    def _rows(self, entry: LogEntry) -> Sequence[Message]:
        """A match whose events cannot be had must not hold up all others for ever."""
        pipeline = entry.event.pipeline_id
        try:
            table = self._match_events(entry.event.key)
            if table is None:
                _log.warning("pipeline %s: its match events are gone: none published", pipeline)
            messages = () if table is None else match_messages(entry, table)
        except ArtifactError as error:
            self._read_failures += 1
            if self._read_failures < _READ_TRIES:
                raise
            _log.error("pipeline %s: its match events are not published: %s", pipeline, error)
            messages = ()
        except TableError as error:
            _log.error("pipeline %s: its match events are not published: %s", pipeline, error)
            messages = ()
        self._read_failures = 0
        return messages

    def _is_known(self, topic: Topic, event_id: str) -> bool:
        return uuid.UUID(event_id).bytes in self._before[topic]

    # -- beside it

    def _spill(self) -> None:
        try:
            if moved := self._outbox.spill():
                _log.info("moved %d events from the state to storage", moved)
        except FootAnalyticsError as error:
            _log.warning("events stay in the state: %s", error)

    def _report(self) -> None:
        if time.monotonic() - self._reported_at >= _REPORT_S:
            if self._sent:
                _log.info("published %d events, %d wait", self._sent, self._outbox.lag())
            self._sent, self._reported_at = 0, time.monotonic()

    def close(self) -> None:
        try:
            self._publisher.close()
        except BrokerError as error:
            _log.warning("%s: closed without its answer", error)


def final_match_events(artifacts: ArtifactStore, key: str) -> pa.Table | None:
    """The match events that the cell with this key left; None where they are gone.

    Raises:
        ArtifactError: they are there and cannot be read.
    """
    checkpoint = Checkpoints(artifacts).find(key)
    if checkpoint is None:
        return None
    artifact = checkpoint.tables.get("match_events")  # an empty table is not stored
    data = artifacts.read(artifact) if artifact else None
    return tables.empty("match_events") if data is None else records.table_from_bytes(data)


def _id_of(entry: LogEntry) -> str:
    return entry.event.event_id
