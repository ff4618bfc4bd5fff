"""What the relay publishes to a real Pulsar, and how its process behaves."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pulsar as client_library
import pyarrow as pa
import pytest

from application import outbox as outboxes
from application import records
from application.checkpoints import Checkpoints
from application.outbox import Outbox
from application.ports import Checkpoint
from application.state import LogEntry
from domain import tables
from domain.errors import ArtifactError, TableError
from domain.grid import END, Cell
from domain.pipeline import DomainEvent, EventKind
from infrastructure.pulsar import schemas
from infrastructure.pulsar.relay import final_match_events
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore
from tests.relay_rig import (
    DEADLINE_S,
    MATCH_KEY,
    TRACEPARENT,
    connected,
    draining,
    eventually,
    match_table,
    new_relay,
    publish,
    received,
    row_ids,
    running,
    seen,
    story,
    tell,
)

DOCUMENT = Path(__file__).parent.parent / "docs" / "events.md"
STORY = DOCUMENT.parent / "examples" / "print_match_story.py"


@pytest.fixture
def topics() -> str:
    """Topics that no other test uses."""
    return f"persistent://public/default/relay-{secrets.token_hex(8)}"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SQLiteStateStore]:
    with closing(SQLiteStateStore(tmp_path / "state.sqlite")) as store:
        yield store


@pytest.fixture
def artifacts(tmp_path: Path) -> FolderArtifactStore:
    return FolderArtifactStore(tmp_path / "artifacts")


def test_facts_arrive_once_in_order_with_their_key_schema_and_properties(
    pulsar: str, topics: str, state: SQLiteStateStore, artifacts: FolderArtifactStore
) -> None:
    told = tell(state, "first") + tell(state, "second")
    publish(new_relay(pulsar, topics, Outbox(state, artifacts)))
    messages = received(pulsar, f"{topics}.pipeline")
    assert [message.properties()["event_id"] for message in messages] == told
    assert [message.partition_key() for message in messages] == ["first"] * 12 + ["second"] * 12
    numbers = [int(message.properties()["number"]) for message in messages]
    assert numbers == sorted(numbers)
    for message in messages:
        fields, given = json.loads(message.data()), message.properties()
        assert list(fields) == list(schemas.PipelineEvent._fields)
        assert given["kind"] == fields["kind"]
        assert given["event_id"] == fields["event_id"]
        assert given["traceparent"] == TRACEPARENT
        assert given["schema_version"] == str(fields["schema_version"]) == "1"
    completed = json.loads(messages[2].data())
    assert (completed["kind"], completed["key"]) == ("CellCompleted", "k0")


def test_the_schema_is_registered_with_the_broker(
    pulsar: str, topics: str, state: SQLiteStateStore, artifacts: FolderArtifactStore
) -> None:
    """Else a producer with other fields could write into the topic."""
    tell(state, "match")
    other = schemas.CompactJson(schemas.MatchEvent)
    with (
        draining(new_relay(pulsar, topics, Outbox(state, artifacts))),
        connected(pulsar) as client,
        pytest.raises(client_library.IncompatibleSchema),
    ):
        client.create_producer(f"{topics}.pipeline", schema=other)


def test_what_was_published_is_trimmed_up_to_the_slowest_reader(
    pulsar: str, topics: str, state: SQLiteStateStore, artifacts: FolderArtifactStore
) -> None:
    told = tell(state, "match")
    state.read_up_to("progress", state.log(0)[3].number)
    outbox = Outbox(state, artifacts)
    outbox.open()
    assert outboxes.lag(state, artifacts) == outbox.lag() == len(told)
    publish(new_relay(pulsar, topics, outbox))
    assert [entry.event.event_id for entry in state.log(0)] == told[4:]
    assert outboxes.lag(state, artifacts) == outbox.lag() == 0


def test_final_match_events_are_published_once_and_provisional_ones_never(
    pulsar: str, topics: str, state: SQLiteStateStore, artifacts: FolderArtifactStore
) -> None:
    artifact = artifacts.put(records.table_bytes(match_table(3, provisional=2)))
    checkpoint = Checkpoint(MATCH_KEY, "event_detection/end", {"match_events": artifact})
    Checkpoints(artifacts).keep(checkpoint)
    tell(state, "match")
    events = partial(final_match_events, artifacts)
    publish(new_relay(pulsar, topics, Outbox(state, artifacts), events))
    messages = received(pulsar, f"{topics}.match")
    assert [message.properties()["event_id"] for message in messages] == row_ids("match")
    assert {message.partition_key() for message in messages} == {"match"}
    rows = [json.loads(message.data()) for message in messages]
    assert [(row["event"], row["events"], row["key"]) for row in rows] == [
        (number, 3, MATCH_KEY) for number in range(3)
    ]
    assert {message.properties()["traceparent"] for message in messages} == {TRACEPARENT}


def test_a_match_message_has_every_column_of_the_table() -> None:
    """A column that is added to the table must be added to the schema and the page."""
    columns = set(tables.SCHEMAS["match_events"].names) - {"provisional"}
    own = {"schema_version", "event_id", "pipeline_id", "key", "events"}
    assert set(schemas.MatchEvent._fields) == columns | own


def test_match_events_that_are_gone_or_broken_do_not_hold_up_the_others(
    pulsar: str, topics: str, state: SQLiteStateStore, artifacts: FolderArtifactStore
) -> None:
    told = tell(state, "gone") + tell(state, "broken") + tell(state, "flaky")
    tries = iter([None, *["broken"] * 8, "once", match_table()])

    def match_events(_: str) -> pa.Table | None:
        outcome = next(tries)
        if isinstance(outcome, str):
            raise ArtifactError(outcome)
        return outcome

    with running(new_relay(pulsar, topics, Outbox(state, artifacts), match_events)):
        eventually(lambda: outboxes.lag(state, artifacts) == 0)
    assert seen(pulsar, topics) == told
    assert seen(pulsar, topics, "match") == row_ids("flaky")


def test_a_match_with_more_events_than_sequence_ids_is_refused() -> None:
    """65,536 rows have ids; one more would take the next entry's, and be lost without a word."""
    entry = LogEntry(1 << 32, 1, 0.0, story("match")[-2])
    last = schemas.match_messages(entry, match_table(1 << 16))[-1]
    assert schemas.number_of_match(last.sequence) == entry.number
    with pytest.raises(TableError, match="65537 match events"):
        schemas.match_messages(entry, match_table((1 << 16) + 1))


PROCESS = """
import sys
from pathlib import Path
from application.outbox import Outbox
from infrastructure import relay
from infrastructure.bootstrap import cluster as bootstrap
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore
from tests.relay_rig import new_relay

def wired(settings):
    folder = Path(sys.argv[2])
    state = SQLiteStateStore(folder / "state.sqlite")
    outbox = Outbox(state, FolderArtifactStore(folder / "artifacts"))
    return new_relay(settings.pulsar_service_url, sys.argv[1], outbox)

bootstrap.relay = wired
sys.exit(relay.main())
"""


def test_the_process_stops_in_order_when_it_is_told_to(
    pulsar: str, topics: str, tmp_path: Path
) -> None:
    """It lets a successor in at once, and says what it does on stderr, a line each."""
    with closing(SQLiteStateStore(tmp_path / "state.sqlite")) as store:
        told = tell(store, "match")
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, topics, str(tmp_path)],
        env={**os.environ, "PULSAR_SERVICE_URL": pulsar, "ML_PIPELINE_LOG_LEVEL": "info"},
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        eventually(lambda: reached(pulsar, topics, len(told)) or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out) == (0, ""), err
    (line,) = map(json.loads, err.splitlines())
    assert line["message"] == "connected to Pulsar: 12 events wait"
    artifacts = FolderArtifactStore(tmp_path / "artifacts")
    with closing(SQLiteStateStore(tmp_path / "state.sqlite")) as store:
        assert outboxes.lag(store, artifacts) == 0
        successor = new_relay(pulsar, topics, Outbox(store, artifacts))
        successor.step()
        successor.close()
    assert seen(pulsar, topics) == told


def reached(url: str, topics: str, count: int) -> bool:
    """Whether so many pipeline events are there; a topic that is not counts as empty."""
    return len(received(url, f"{topics}.pipeline")) >= count


def test_a_wrong_address_ends_the_process_with_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infrastructure.relay"],
        env={**os.environ, "PULSAR_SERVICE_URL": "http://127.0.0.1:1"},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "PULSAR_SERVICE_URL" in done.stderr


def examples() -> list[dict[str, Any]]:
    blocks = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return [json.loads(block) for block in blocks]


def test_the_documented_examples_are_what_messages_look_like() -> None:
    pipeline_id = "5f0c8a4e6f6b4f0f9f3c2f0b7d1e9a55"
    cell = Cell("player_detection", 12)
    at = 1772895845.25  # 2026-03-07 15:04:05.25 UTC
    done = DomainEvent(EventKind.CELL_COMPLETED, pipeline_id, cell, key="9b2f6d1c")
    end = DomainEvent(
        EventKind.STAGE_COMPLETED, pipeline_id, Cell("event_detection", END), key=MATCH_KEY
    )
    real = [
        schemas.pipeline_message(LogEntry(1, 1, at, done)),
        schemas.match_messages(LogEntry(2, 2, at, end), match_table(1))[0],
    ]
    codecs = [schemas.CompactJson(schemas.PipelineEvent), schemas.CompactJson(schemas.MatchEvent)]
    for example, message, codec in zip(examples(), real, codecs, strict=True):
        assert list(example.items()) == list(json.loads(codec.encode(message.record)).items())


@pytest.mark.parametrize(
    ("record", "title"),
    [(schemas.PipelineEvent, "Pipeline events"), (schemas.MatchEvent, "Match events")],
)
def test_every_field_is_documented(record: Any, title: str) -> None:
    section = DOCUMENT.read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line for line in section.split("\n") if re.match(r"\| `[a-z]", line)]
    documented = [name for row in rows for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])]
    assert sorted(documented) == sorted(record._fields)


def test_every_kind_is_documented() -> None:
    documented = set(re.findall(r"^\| `([A-Z]\w+)` \|", DOCUMENT.read_text(), re.MULTILINE))
    assert documented == {kind.value for kind in EventKind}


def test_the_example_prints_a_matchs_story(
    pulsar: str, topics: str, state: SQLiteStateStore, artifacts: FolderArtifactStore
) -> None:
    tell(state, "other")
    tell(state, "match", 2)
    publish(new_relay(pulsar, topics, Outbox(state, artifacts)))
    command = [sys.executable, str(STORY), "match", "--url", pulsar, "--topics", topics]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    lines = [re.sub(r"^\d\d:\d\d:\d\d  ", "", line) for line in done.stdout.splitlines()]
    assert lines == [
        "PipelineSubmitted",
        "PipelineStarted",
        "CellCompleted  player_detection/0",
        "CellCompleted  player_detection/1",
        "StageCompleted  event_detection/end",
        *["  1:00  pass  home 8 to home 11  complete"] * 3,
        "PipelineCompleted",
    ]
