"""The log as an outbox: spilled to storage and read back, each entry once."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from application import outbox as outboxes
from application.outbox import RELAY, Outbox, forget_unread
from application.state import LogEntry
from domain.errors import ResourceError
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore
from tests.relay_rig import cut_off, tell


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SQLiteStateStore]:
    with closing(SQLiteStateStore(tmp_path / "state.sqlite")) as store:
        yield store


@pytest.fixture
def artifacts(tmp_path: Path) -> FolderArtifactStore:
    return FolderArtifactStore(tmp_path / "artifacts")


def ids(entries: Sequence[LogEntry]) -> list[str]:
    return [entry.event.event_id for entry in entries]


def read_all(outbox: Outbox, limit: int = 3) -> list[str]:
    """Read as the relay does, and note each batch as done."""
    found: list[str] = []
    while entries := outbox.read(limit):
        found += ids(entries)
        outbox.done(entries[-1].number)
    return found


def test_spilled_entries_are_read_first_then_removed(
    state: SQLiteStateStore, artifacts: FolderArtifactStore
) -> None:
    told = tell(state, "match", 21)  # 25 entries
    outbox = Outbox(state, artifacts, spill_entries=10, part_entries=6)
    outbox.open()
    assert outbox.spill() == 25 - 5
    assert ids(state.log(0)) == told[20:]
    assert len(list(artifacts.records("log"))) == 4  # 6 + 6 + 6 + 2
    assert outbox.spill() == 0
    told += tell(state, "more")
    assert outboxes.lag(state, artifacts) == outbox.lag() == 37
    outbox.done(outbox.read(4)[-1].number)
    assert outbox.lag() == 33
    assert read_all(outbox) == told[4:]
    assert outbox.lag() == outboxes.lag(state, artifacts) == 0
    assert list(artifacts.records("log")) == []


@pytest.mark.parametrize("cut", ["trim", "read_up_to", "put_record", "remove_record"])
def test_a_crash_while_spilling_or_reading_keeps_each_entry_once(
    state: SQLiteStateStore, artifacts: FolderArtifactStore, cut: str
) -> None:
    told = tell(state, "match", 21)
    state.read_up_to(RELAY, 0)
    owner = state if hasattr(state, cut) else artifacts
    whole = getattr(owner, cut)
    outbox = Outbox(state, artifacts, spill_entries=10, part_entries=6)
    outbox.open()
    setattr(owner, cut, cut_off)
    found: list[str] = []

    def until_cut() -> None:
        outbox.spill()
        while entries := outbox.read(6):
            outbox.done(entries[-1].number)
            found.extend(ids(entries))

    with pytest.raises(ResourceError, match="cut"):
        until_cut()
    setattr(owner, cut, whole)
    after = Outbox(state, artifacts, spill_entries=10, part_entries=6)
    after.open()
    if cut == "remove_record":  # by then the batch was done; only its part was left behind
        found += told[:6]
    assert found + read_all(after) == told
    assert list(artifacts.records("log")) == []


def test_spilling_leaves_what_another_reader_still_needs(
    state: SQLiteStateStore, artifacts: FolderArtifactStore
) -> None:
    told = tell(state, "match", 21)
    state.read_up_to("progress", state.log(0)[1].number)
    outbox = Outbox(state, artifacts, spill_entries=10)
    outbox.open()
    outbox.spill()
    assert ids(state.log(0)) == told[2:]
    assert read_all(outbox) == told


def test_a_log_that_no_relay_reads_is_kept_short(state: SQLiteStateStore) -> None:
    tell(state, "match")
    forget_unread(state, keep=2**40)
    assert len(state.log(0)) == 12
    forget_unread(state, keep=0)
    assert state.log(0) == []


def test_a_log_that_a_relay_reads_is_left_alone(state: SQLiteStateStore) -> None:
    tell(state, "match")
    state.read_up_to("relay", 0)
    forget_unread(state, keep=0)
    assert len(state.log(0)) == 12
