"""Each fact once at a consumer, whatever is killed, cut off or lost."""

import logging
import multiprocessing
import os
import secrets
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis

from application import outbox as outboxes
from application.outbox import RELAY, Outbox
from application.state import StateStore
from deploy.servers import PulsarServer, RedisServer
from domain.errors import ResourceError
from infrastructure.pulsar.published import PublishedIds
from infrastructure.pulsar.publisher import BrokerError
from infrastructure.pulsar.schemas import Message
from infrastructure.state.redis import RedisStateStore
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore
from tests.relay_rig import (
    DEADLINE_S,
    cut_off,
    drain,
    draining,
    eventually,
    new_relay,
    publish,
    row_ids,
    running,
    seen,
    tell,
)


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


# -- crashes of the relay


def _killed(url: str, topics: str, folder: Path, moment: str) -> None:
    """A relay process that kills itself at `moment`, in its second batch."""
    outbox = Outbox(
        SQLiteStateStore(folder / "state.sqlite"), FolderArtifactStore(folder / "artifacts")
    )
    relay = new_relay(url, topics, outbox, batch=5)
    relay.step()
    cut: Any = outbox
    publisher: Any = relay._publisher
    send = publisher.send

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def half(topic: str, messages: Sequence[Message]) -> None:
        send(topic, messages[:2])
        die()

    def rows(topic: str, messages: Sequence[Message]) -> None:
        send(topic, messages) if topic == "match" else die()

    if moment == "acknowledged":
        cut.done = die
    else:
        publisher.send = half if moment == "half sent" else rows
    while relay.step():
        pass


@pytest.mark.parametrize("moment", ["acknowledged", "half sent", "rows sent"])
def test_a_killed_relay_is_followed_by_one_that_repeats_nothing(
    pulsar: str, topics: str, tmp_path: Path, moment: str
) -> None:
    with closing(SQLiteStateStore(tmp_path / "state.sqlite")) as store:
        told = tell(store, "match", cells=7)
    process = multiprocessing.get_context("spawn").Process(
        target=_killed, args=(pulsar, topics, tmp_path, moment)
    )
    process.start()
    process.join(DEADLINE_S)
    assert process.exitcode == -signal.SIGKILL
    artifacts = FolderArtifactStore(tmp_path / "artifacts")
    with closing(SQLiteStateStore(tmp_path / "state.sqlite")) as store:
        publish(new_relay(pulsar, topics, Outbox(store, artifacts), batch=4))
        assert store.generation == 1  # nothing was lost, so nothing had to be lifted
    assert seen(pulsar, topics) == told
    assert seen(pulsar, topics, "match") == row_ids("match")


def test_a_second_relay_waits_and_takes_over(
    pulsar: str, topics: str, state: SQLiteStateStore, artifacts: FolderArtifactStore
) -> None:
    first = new_relay(pulsar, topics, Outbox(state, artifacts))
    second = new_relay(pulsar, topics, Outbox(state, artifacts))
    with draining(first):
        told = tell(state, "match")
        drain(first)
        with pytest.raises(BrokerError, match="another relay is publishing"):
            second.step()
    told += tell(state, "later")
    publish(second)
    assert seen(pulsar, topics) == told


# -- the broker away


def test_pulsar_down_at_start_is_said_once_and_nothing_is_lost(
    tmp_path: Path, topics: str, artifacts: FolderArtifactStore, caplog: pytest.LogCaptureFixture
) -> None:
    """The log spills meanwhile: more than 20 entries wait, so all but 10 go to storage."""
    server = PulsarServer(tmp_path / "pulsar")
    store = SQLiteStateStore(tmp_path / "state.sqlite")
    outbox = Outbox(store, artifacts, spill_entries=20, part_entries=6)
    told = tell(store, "first", 30)
    relay = new_relay(server.url, topics, outbox)
    with caplog.at_level(logging.INFO), closing(store), running(relay):
        eventually(lambda: relay._circuit._failures >= 3)
        eventually(lambda: len(store.log(0)) == 10)
        told += tell(store, "second")
        warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert len(warnings) == len(set(warnings))
        with server:
            eventually(lambda: outboxes.lag(store, artifacts) == 0)
            assert seen(server.url, topics) == told
            told += tell(store, "third")
            eventually(lambda: outboxes.lag(store, artifacts) == 0)
            assert seen(server.url, topics) == told
        assert list(artifacts.records("log")) == []
    assert any("publishing again" in r.getMessage() for r in caplog.records)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_a_broker_that_dies_or_hangs_in_mid_stream(
    pulsar_server: PulsarServer,
    topics: str,
    state: SQLiteStateStore,
    artifacts: FolderArtifactStore,
    fault: str,
) -> None:
    """Sends time out after 2 s, and what the broker kept of them must not come twice."""
    server, told = pulsar_server, []
    relay = new_relay(server.url, topics, Outbox(state, artifacts), batch=50)
    with running(relay):
        for number in range(40):
            told += tell(state, f"match {number}", 40)
            if number == 15:
                eventually(lambda: outboxes.lag(state, artifacts) < 300)
                getattr(server, fault)()
            if number == 30:
                eventually(lambda: not relay._circuit.closed)
                server.start() if fault == "kill" else server.resume()
        eventually(lambda: outboxes.lag(state, artifacts) == 0)
    assert seen(server.url, topics) == told
    ids = [event_id for number in range(40) for event_id in row_ids(f"match {number}")]
    assert seen(server.url, topics, "match") == ids


# -- the state lost


def rebuilt(path: Path, generation: int) -> SQLiteStateStore:
    """An empty state of this generation."""
    store = SQLiteStateStore(path)
    if generation > 1:
        store.lift((generation - 1) << 32)
    assert store.generation == generation
    return store


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_facts_that_a_rebuilt_state_logs_again_are_not_published_again(
    pulsar: str,
    topics: str,
    tmp_path: Path,
    state: SQLiteStateStore,
    artifacts: FolderArtifactStore,
    steps: int,
) -> None:
    """After 1 batch the story is half told, after 3 its match events are out, after 4 all is."""
    told = tell(state, "match")
    relay = new_relay(pulsar, topics, Outbox(state, artifacts), batch=4)
    for _ in range(steps):
        relay.step()
    relay.close()
    with closing(rebuilt(tmp_path / "again.sqlite", 2)) as again:
        assert tell(again, "match") == told
        told += tell(again, "new")
        publish(new_relay(pulsar, topics, Outbox(again, artifacts), batch=7))
        assert outboxes.lag(again, artifacts) == 0
    assert seen(pulsar, topics) == told
    assert seen(pulsar, topics, "match") == row_ids("match") + row_ids("new")


def test_rows_that_went_out_before_the_state_was_lost_do_not_come_again(
    pulsar: str,
    topics: str,
    tmp_path: Path,
    state: SQLiteStateStore,
    artifacts: FolderArtifactStore,
) -> None:
    """Lost between the match events and the StageCompleted that brings them."""
    told = tell(state, "match")
    relay = new_relay(pulsar, topics, Outbox(state, artifacts), batch=50)
    send = relay._publisher.send

    def only_rows(topic: Any, messages: Any) -> None:
        if topic == "pipeline":
            raise BrokerError("cut off")
        send(topic, messages)

    relay._publisher.send = only_rows  # type: ignore[method-assign]
    with pytest.raises(BrokerError, match="cut off"):
        relay.step()
    relay.close()
    with closing(rebuilt(tmp_path / "again.sqlite", 2)) as again:
        tell(again, "match")
        publish(new_relay(pulsar, topics, Outbox(again, artifacts)))
    assert seen(pulsar, topics) == told
    assert seen(pulsar, topics, "match") == row_ids("match")


class Switched:
    """A store that is another one from some moment on, as a Redis is after FLUSHALL."""

    def __init__(self, store: StateStore) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.mark.parametrize("generation", [1, 2])
def test_a_state_lost_under_a_running_relay(
    pulsar: str,
    topics: str,
    tmp_path: Path,
    state: SQLiteStateStore,
    artifacts: FolderArtifactStore,
    generation: int,
) -> None:
    """With generation 1 its numbers fall, too."""
    told = tell(state, "match")
    switched: Any = Switched(state)
    with running(new_relay(pulsar, topics, Outbox(switched, artifacts))):
        eventually(lambda: outboxes.lag(state, artifacts) == 0)
        with closing(rebuilt(tmp_path / "again.sqlite", generation)) as again:
            told += tell(again, "new")
            tell(again, "match")
            switched.store = again
            eventually(lambda: RELAY in again.readers() and outboxes.lag(again, artifacts) == 0)
            assert again.generation > 1
            switched.store = state
    assert seen(pulsar, topics) == told


def test_a_redis_emptied_under_a_running_relay(
    pulsar: str, topics: str, redis_server: RedisServer, artifacts: FolderArtifactStore
) -> None:
    """The real thing: everything is gone, then begun anew and logged again."""
    with closing(RedisStateStore(redis_server.url)) as store:
        store.begin(1)
        told = tell(store, "match")
        relay = new_relay(pulsar, topics, Outbox(store, artifacts))
        with running(relay):
            eventually(lambda: outboxes.lag(store, artifacts) == 0)
            with closing(redis.Redis.from_url(redis_server.url)) as client:
                client.flushall()
            eventually(lambda: not relay._circuit.closed)  # it has seen that all is lost
            store.begin(2)
            assert tell(store, "match") == told
            told += tell(store, "new")
            eventually(lambda: RELAY in store.readers() and outboxes.lag(store, artifacts) == 0)
    assert seen(pulsar, topics) == told
    assert seen(pulsar, topics, "match") == row_ids("match") + row_ids("new")


def fallen(
    pulsar: str, topics: str, tmp_path: Path, artifacts: FolderArtifactStore
) -> tuple[SQLiteStateStore, list[str]]:
    """A state that begins anew at number 1 while Pulsar has seen 44; ids of what it published."""
    with closing(SQLiteStateStore(tmp_path / "old.sqlite")) as old:
        told = tell(old, "old", 40)
        publish(new_relay(pulsar, topics, Outbox(old, artifacts)))
    return SQLiteStateStore(tmp_path / "new.sqlite"), told


@pytest.mark.parametrize("logged", ["before", "after"])
def test_numbers_that_fell_are_lifted_above_what_pulsar_has(
    pulsar: str, topics: str, tmp_path: Path, artifacts: FolderArtifactStore, logged: str
) -> None:
    """Pulsar would drop the new ones without a word, logged before or after the relay connects."""
    store, told = fallen(pulsar, topics, tmp_path, artifacts)
    with closing(store):
        relay = new_relay(pulsar, topics, Outbox(store, artifacts))
        if logged == "after":
            relay.step()
        told += tell(store, "new")
        publish(relay)
        assert store.generation > 1
    assert seen(pulsar, topics) == told
    assert seen(pulsar, topics, "match") == row_ids("old") + row_ids("new")


@pytest.mark.parametrize("crash", [False, True])
def test_fallen_numbers_that_others_read_or_that_lie_on_storage_are_lifted_too(
    pulsar: str, topics: str, tmp_path: Path, artifacts: FolderArtifactStore, crash: bool
) -> None:
    """The state renumbers only what no reader has seen; a crash in the middle repeats nothing."""
    store, told = fallen(pulsar, topics, tmp_path, artifacts)
    with closing(store):
        told += tell(store, "spilled", 20)
        outbox = Outbox(store, artifacts, spill_entries=8, part_entries=5)
        outbox.open()
        assert outbox.spill() == 24 - 4
        told += tell(store, "read by others")
        store.read_up_to("progress", store.log(0)[-3].number)
        if crash:
            relay = new_relay(pulsar, topics, outbox)
            remove, artifacts.remove_record = artifacts.remove_record, cut_off  # type: ignore[method-assign,assignment]
            with pytest.raises(ResourceError, match="cut"):
                relay.step()
            relay.close()
            artifacts.remove_record = remove  # type: ignore[method-assign]
        publish(new_relay(pulsar, topics, Outbox(store, artifacts)))
    assert seen(pulsar, topics) == told
    assert list(artifacts.records("log")) == []


def test_published_ids_are_found_among_many() -> None:
    """Ids that end in zero bytes must not be taken for others."""
    ids_ = [(n * 0x9E3779B97F4A7C15 % (1 << 120) << 8).to_bytes(16, "big") for n in range(120_000)]
    known = PublishedIds()
    for each in ids_:
        known.add(each)
    assert all(each in known for each in ids_[::1000])
    assert not any(each[:15] + b"\1" in known for each in ids_[::1000])
    assert UUID(int=1).bytes not in known
    assert b"x" * 16 not in PublishedIds()
