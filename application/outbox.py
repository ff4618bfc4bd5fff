"""The log as an outbox: what waits for the relay, in the state and, past a limit, on storage.

While nobody takes the entries, the oldest go to storage as records `log/FIRST-LAST-COUNT`. They
are read first, then the state's. A part counts from the moment that it is written whole: what the
state still holds up to its last number is passed over, so a crash in between repeats nothing.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from application import records
from application.ports import ArtifactStore
from application.state import LogEntry, StateStore
from domain.errors import ResourceError

RELAY = "relay"
"""The name under which the relay's position stands in the state."""
_FOLDER = "log"
_PAGE = 1000


def forget_unread(state: StateStore, keep: int) -> None:
    """Where no relay ever read the log, nobody trims it: leave about `keep` entries of it."""
    if RELAY not in state.readers():
        state.trim(min([state.last_number - keep, *state.readers().values()]))


def forget_all(state: StateStore) -> None:
    """Nothing is relayed: a relay that begins later begins with what comes then."""
    last = state.last_number
    if RELAY in state.readers():
        state.read_up_to(RELAY, last)
    state.trim(min([last, *state.readers().values()]))


class _Part(NamedTuple):
    first: int
    last: int
    entries: int

    @property
    def name(self) -> str:
        """Names sort as their numbers do."""
        return f"{_FOLDER}/{self.first:020}-{self.last:020}-{self.entries}"

    @classmethod
    def parse(cls, name: str) -> "_Part":
        return cls(*map(int, name.rpartition("/")[2].split("-")))


class Outbox:
    """The entries that the relay has not published yet. One process uses it at a time.

    When more than `spill_entries` wait in the state, `spill` moves all but half as many to
    storage, at most `part_entries` a record.
    """

    def __init__(
        self,
        state: StateStore,
        artifacts: ArtifactStore,
        spill_entries: int = 100_000,
        part_entries: int = 5_000,
    ) -> None:
        self._state = state
        self._artifacts = artifacts
        self._limit = spill_entries
        self._part_entries = part_entries
        self._parts: list[_Part] = []
        self._loaded: tuple[_Part, Sequence[LogEntry]] | None = None
        self._counted: deque[int] = deque()
        self._known = (-1, -1)
        self._position = 0

    def open(self) -> None:
        """Find out anew where the state and the storage stand. Call it first, and when `moved`."""
        if RELAY not in self._state.readers():
            self._state.read_up_to(RELAY, 0)  # from now on nobody trims what we have not read
        self._position = self._state.readers()[RELAY]
        self._known = (self._state.generation, self._position)
        self._parts = sorted(map(_Part.parse, self._artifacts.records(_FOLDER)))
        self._loaded = None
        self._counted.clear()
        self._forget_parts()

    @property
    def generation(self) -> int:
        """The state's, when the outbox was opened."""
        return self._known[0]

    @property
    def position(self) -> int:
        """The number of the last entry that is done with; 0 before the first."""
        return self._position

    @property
    def moved(self) -> bool:
        """Whether the state was lost and built again since the outbox was opened."""
        return (self._state.generation, self._state.readers().get(RELAY)) != self._known

    def read(self, limit: int = _PAGE) -> Sequence[LogEntry]:
        """The entries that wait, in order, from the first."""
        return self._after(self._position, limit)

    def entry(self, number: int) -> LogEntry | None:
        """The waiting entry of this number."""
        if number <= self._position:
            return None
        found = self._after(number - 1, 1)
        return found[0] if found and found[0].number == number else None

    def done(self, number: int) -> None:
        """The entries up to `number` are published: forget them as far as nobody needs them."""
        self._state.read_up_to(RELAY, number)
        self._position = max(self._position, number)
        self._known = (self._known[0], self._position)
        self._forget_parts()
        self._state.trim(min(self._state.readers().values()))

    def lag(self) -> int:
        """How many entries wait."""
        self._count()
        begun = sum(entry.number <= self._position for entry in self._first_part())
        return len(self._counted) + sum(part.entries for part in self._parts) - begun

    def spill(self) -> int:
        """Move the oldest entries to storage if too many wait; how many were moved."""
        self._count()
        if len(self._counted) <= self._limit:
            return 0
        before, keep = len(self._counted), self._limit // 2
        while (excess := len(self._counted) - keep) > 0:
            entries = self._state.log(self._spilled_to, min(excess, self._part_entries))
            self._parts.append(self._write(entries))
            self._drop_counted()
        others = [at for reader, at in self._state.readers().items() if reader != RELAY]
        self._state.trim(min([*others, self._spilled_to]))
        return before - len(self._counted)

    def lift(self, last: int) -> None:
        """Give all that waits numbers above `last`, in the same order.

        The state renumbers only what none of its readers has seen. The others, and those on
        storage, become parts with numbers between `last` and the state's.
        """
        last = max([last, *(part.last for part in self._parts)])
        between = ((last >> 32) + 1) << 32
        self._state.lift(between)
        old, number = list(self._parts), between
        for chunk in self._chunks_below(between):
            renumbered = [
                msgspec.structs.replace(entry, number=number + place)
                for place, entry in enumerate(chunk, start=1)
            ]
            self._write(renumbered)
            number += len(renumbered)
        for part in old:
            self._artifacts.remove_record(part.name)
        self.open()

    def _chunks_below(self, bound: int) -> Iterator[list[LogEntry]]:
        """The waiting entries with numbers below `bound`, each fact once."""
        chunk: list[LogEntry] = []
        seen: set[str] = set()
        after = self._position
        while entries := [e for e in self._after(after, _PAGE) if e.number < bound]:
            after = entries[-1].number
            for entry in entries:
                if entry.event.event_id not in seen:
                    seen.add(entry.event.event_id)
                    chunk.append(entry)
            if len(chunk) >= self._part_entries:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    @property
    def _spilled_to(self) -> int:
        return max([self._position, *(part.last for part in self._parts)])

    def _after(self, number: int, limit: int) -> Sequence[LogEntry]:
        for part in self._parts:
            if part.last > number:
                return [entry for entry in self._load(part) if entry.number > number][:limit]
        return self._state.log(max(number, self._spilled_to), limit)

    def _load(self, part: _Part) -> Sequence[LogEntry]:
        if self._loaded is None or self._loaded[0] != part:
            self._loaded = (part, _decoded(part, self._artifacts.read_record(part.name)))
        return self._loaded[1]

    def _first_part(self) -> Sequence[LogEntry]:
        """The entries of the part that is being read; none where its first is still to come."""
        if self._parts and self._parts[0].first <= self._position:
            return self._load(self._parts[0])
        return ()

    def _write(self, entries: Sequence[LogEntry]) -> _Part:
        part = _Part(entries[0].number, entries[-1].number, len(entries))
        self._artifacts.put_record(part.name, records.encode(entries))
        return part

    def _forget_parts(self) -> None:
        while self._parts and self._parts[0].last <= self._position:
            self._artifacts.remove_record(self._parts.pop(0).name)

    def _count(self) -> None:
        """Bring `_counted`, the numbers of the entries that wait in the state, up to date."""
        self._drop_counted()
        last = self._counted[-1] if self._counted else self._spilled_to
        while entries := self._state.log(last, _PAGE):
            self._counted.extend(entry.number for entry in entries)
            last = self._counted[-1]

    def _drop_counted(self) -> None:
        while self._counted and self._counted[0] <= self._spilled_to:
            self._counted.popleft()


def _decoded(part: _Part, data: bytes | None) -> Sequence[LogEntry]:
    try:
        return records.decode(data or b"", list[LogEntry])
    except msgspec.DecodeError as error:
        raise ResourceError(
            f"storage record {part.name} with {part.entries} log entries cannot be read: "
            f"restore it, or remove it to go on without them"
        ) from error


def lag(state: StateStore, artifacts: ArtifactStore) -> int:
    """How many log entries are not published yet; changes nothing, for any process to ask."""
    position = state.readers().get(RELAY, 0)
    parts = sorted(map(_Part.parse, artifacts.records(_FOLDER)))
    waiting = sum(part.entries for part in parts if part.last > position)
    after = max([position, *(part.last for part in parts)])
    while entries := state.log(after, _PAGE):
        waiting += len(entries)
        after = entries[-1].number
    return waiting
