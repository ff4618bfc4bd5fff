"""Progress as watchers get it: real WebSockets and event streams over both state stores."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from application import progress
from application.frame_pass import PassRunner
from application.progress import FrameReports, Look, PipelineProgress, Told
from application.state import Change, Lease, PipelineRecord, StateStore
from application.watch import Close, Watch
from domain.errors import ResourceError
from domain.grid import END, Cell
from domain.pipeline import DomainEvent, EventKind, PipelineState
from infrastructure.progress import Doorkeeper, Place
from infrastructure.state.redis import RedisStateStore
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore
from tests.state_stores import small_plan, start, take
from tests.toy_match import FRAMES, SEGMENTS, TOTAL, ToyCluster
from tests.watching import (
    DEADLINE_S,
    DOORS,
    Door,
    Said,
    address,
    api,
    changes,
    check_gapless,
    check_story,
    port,
    watching,
)

DOCUMENT = Path(__file__).parent.parent / "docs" / "progress.md"
NOBODY = "0" * 32


@pytest.fixture(params=["sqlite", "redis"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ToyCluster]:
    store: StateStore
    if request.param == "sqlite":
        store = SQLiteStateStore(tmp_path / "state.sqlite")
    else:
        store = RedisStateStore(request.getfixturevalue("redis_url"))
        store.begin(1)
    yield ToyCluster(store, FolderArtifactStore(tmp_path / "artifacts"))
    store.close()


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    return request.param  # type: ignore[no-any-return]


class Gate:
    """Stops the cluster's work before one stage, until it is opened."""

    def __init__(self, cluster: ToyCluster, stage: str) -> None:
        self.stage = stage
        self.reached, self.opened = threading.Event(), threading.Event()
        cluster.happening = self
        self._thread = threading.Thread(target=cluster.run)

    def __call__(self, stage: str, _frame: int) -> None:
        if stage == self.stage and not self.opened.is_set():
            self.reached.set()
            assert self.opened.wait(DEADLINE_S)

    def __enter__(self) -> "Gate":
        self._thread.start()
        assert self.reached.wait(DEADLINE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.opened.set()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()


# -- a match from beginning to end


def test_a_watcher_hears_the_whole_story_in_order(cluster: ToyCluster, door: Door) -> None:
    pipeline_id = cluster.submit()
    with DOORS[door](cluster) as place, watching(address(door, place, pipeline_id)) as client:
        snapshot = client.hear()
        cluster.run()
        heard = client.hear_all()
    assert snapshot
    assert (snapshot["state"], snapshot["sequence"], snapshot["stages"]) == ("queued", 1, [])
    check_gapless(heard)
    check_story(heard)
    assert {said["pipeline_id"] for said in heard} == {pipeline_id}
    assert heard[-1]["share_done"] == 1
    assert client.code == 1000


def test_two_watchers_see_the_same_through_either_door(cluster: ToyCluster) -> None:
    pipeline_id = cluster.submit()
    with (
        api(cluster) as first,
        port(cluster) as second,
        watching(address("api", first, pipeline_id)) as one,
        watching(address("port", second, pipeline_id)) as other,
        watching(address("port", second, pipeline_id)) as third,
    ):
        clients = (one, other, third)
        assert len({client.hear()["sequence"] for client in clients}) == 1  # type: ignore[index]
        cluster.run()
        heard = [
            [(c["type"], c["sequence"], c["stage"], c["time"]) for c in changes(client.hear_all())]
            for client in clients
        ]
    assert heard[0] == heard[1] == heard[2]
    assert len(heard[0]) == 2 + 2 * 3  # of the match, and two of each of its stages


def test_who_comes_in_the_middle_is_told_where_it_is(cluster: ToyCluster, door: Door) -> None:
    pipeline_id = cluster.submit()
    with (
        DOORS[door](cluster) as place,
        Gate(cluster, "total"),
        watching(address(door, place, pipeline_id)) as client,
    ):
        snapshot = client.hear()
    assert snapshot
    assert snapshot["state"] == "running"
    stages = {stage["stage"]: stage for stage in snapshot["stages"]}
    assert [(name, each["state"]) for name, each in stages.items()] == [
        ("look", "completed"),
        ("walk", "completed"),
        ("total", "running"),
    ]
    assert stages["walk"]["share_done"] == 1
    assert stages["total"]["share_done"] == 0
    assert snapshot["share_done"] == round((2 * SEGMENTS + 2) / (2 * SEGMENTS + 3), 3)  # cells


def test_percentages_come_between_the_changes(cluster: ToyCluster, door: Door) -> None:
    pipeline_id = cluster.submit()
    with DOORS[door](cluster) as place, watching(address(door, place, pipeline_id)) as client:
        client.hear()
        with Gate(cluster, "walk"):
            said = client.hear_until("stage_progress")
        heard = client.hear_all()
    # the first walk comes after the first of 4 passes
    assert (said["stage"], said["share_done"], said["message"]) == ("look", 0.25, "5 of 20 frames")
    check_gapless(heard)
    check_story(heard)


def test_a_failed_match_says_why(cluster: ToyCluster, door: Door) -> None:
    def fail(stage: str, _frame: int) -> None:
        if stage == "total":
            raise ValueError("out of luck")

    cluster.happening = fail
    pipeline_id = cluster.submit()
    with DOORS[door](cluster) as place, watching(address(door, place, pipeline_id)) as client:
        client.hear()
        while not cluster.record(pipeline_id).error:
            cluster.run()
            cluster.reconciler.tick()
        heard = client.hear_all()
    check_gapless(heard)
    stage_failed, pipeline_failed = changes(heard)[-2:]
    assert (stage_failed["type"], stage_failed["stage"]) == ("stage_failed", "total")
    assert pipeline_failed["type"] == "pipeline_failed"
    assert "out of luck" in stage_failed["message"]
    assert stage_failed["message"] == pipeline_failed["message"]
    assert client.code == 1000


def test_a_cancelled_match_ends_and_a_retry_goes_on_counting(
    cluster: ToyCluster, door: Door
) -> None:
    pipeline_id = cluster.submit()
    with DOORS[door](cluster) as place:
        with watching(address(door, place, pipeline_id)) as client:
            client.hear()
            cluster.service.cancel(pipeline_id)
            heard = client.hear_all()
        assert (heard[-1]["type"], client.code) == ("pipeline_cancelled", 1000)
        cluster.service.retry(pipeline_id)
        with watching(address(door, place, pipeline_id, heard[-1]["sequence"])) as client:
            again = client.hear_until("pipeline_queued")
            cluster.run()
            check_gapless(client.hear_all())
    assert (again["sequence"], again["message"]) == (3, "queued again, attempt 2")
    check_story([said for said in client.heard if said["type"] != "pipeline_queued"])


# -- coming back


def test_who_was_cut_off_goes_on_where_it_was(cluster: ToyCluster, door: Door) -> None:
    pipeline_id = cluster.submit()
    with DOORS[door](cluster) as place:
        with Gate(cluster, "walk"), watching(address(door, place, pipeline_id, 1)) as client:
            last = client.hear_until("stage_started")
            client.cut()
        with watching(address(door, place, pipeline_id, last["sequence"])) as back:
            snapshot, *missed = back.hear_all()
    assert snapshot["next"] == last["sequence"] + 1
    assert snapshot["state"] == "completed"
    both = [*changes(client.heard), *changes(missed)]
    assert [said["sequence"] for said in both] == list(range(2, 2 + len(both)))
    check_story(both)


def test_a_server_that_is_started_again_goes_on(cluster: ToyCluster, door: Door) -> None:
    pipeline_id = cluster.submit()
    with Gate(cluster, "walk") as gate:
        with DOORS[door](cluster) as place:
            client_of_first = watching(address(door, place, pipeline_id, 1))
            client = client_of_first.__enter__()
            last = client.hear_until("stage_started")
        client.hear_all()
        client_of_first.__exit__(None, None, None)
        last = client.heard[-1]
        gate.opened.set()
    with (
        DOORS[door](cluster) as place,
        watching(address(door, place, pipeline_id, last["sequence"])) as back,
    ):
        back.hear_all()
    assert client.code in {1001, 1012}  # going away, as each server says it
    check_story([*changes(client.heard), *changes(back.heard)])


def test_a_finished_match_is_told_at_once(cluster: ToyCluster, door: Door) -> None:
    pipeline_id = cluster.submit()
    cluster.run()
    last = cluster.state.story(pipeline_id)[-1].number
    with DOORS[door](cluster) as place:
        for after in (None, last, last + 7):  # the last: a number from before a rebuilt state
            with watching(address(door, place, pipeline_id, after)) as client:
                snapshot, final = client.hear_all()
            assert (snapshot["state"], snapshot["sequence"]) == ("completed", last)
            assert snapshot["next"] == final["sequence"] == last
            assert (final["type"], client.code) == ("pipeline_completed", 1000)


def test_the_story_has_what_the_log_lost(cluster: ToyCluster, door: Door) -> None:
    """The relay trims what it has published, whether or not it was read here."""
    cluster.happening = lambda *_: cluster.state.trim(cluster.state.last_number)
    pipeline_id = cluster.submit()
    with DOORS[door](cluster) as place, watching(address(door, place, pipeline_id)) as client:
        client.hear()
        cluster.run()
        cluster.state.trim(cluster.state.last_number)
        heard = client.hear_all()
    check_gapless(heard)
    check_story(heard)


def test_a_state_that_was_rebuilt_begins_again_with_a_snapshot(
    redis_url: str, tmp_path: Path
) -> None:
    state = RedisStateStore(redis_url)
    cluster = ToyCluster(state, FolderArtifactStore(tmp_path))
    cluster.reconciler.rebuild()
    pipeline_id = cluster.submit()
    with api(cluster) as place, watching(address("api", place, pipeline_id)) as client:
        client.hear()
        with Gate(cluster, "total"):
            client.hear_until("stage_started")
            state._server._client.flushall()  # type: ignore[no-untyped-call]
            cluster.reconciler.rebuild()
            snapshot = client.hear_until("snapshot")
        cluster.run()
        client.hear_all()
    state.close()
    before = client.heard[client.heard.index(snapshot) - 1]
    assert (snapshot["state"], snapshot["sequence"] < before["sequence"]) == ("queued", True)
    again = client.heard[client.heard.index(snapshot) :]
    check_gapless(again)
    assert again[-1]["type"] == "pipeline_completed"


# -- many, slow and silent ones


def test_who_watches_all_hears_of_every_match(cluster: ToyCluster) -> None:
    waiting = cluster.submit()
    with port(cluster) as place, watching(f"ws://{place}/") as client:
        client.hear()
        new = cluster.submit()
        cluster.run()
        ended = {client.hear_until("pipeline_completed")["pipeline_id"] for _ in range(2)}
    assert ended == {waiting, new}
    of_waiting, of_new = (
        [said for said in client.heard if said["pipeline_id"] == each] for each in (waiting, new)
    )
    check_gapless(of_waiting)
    check_story(of_waiting)
    assert [said["sequence"] for said in changes(of_new)] == list(range(1, 10))
    check_story(of_new[1:])


def test_a_slow_watcher_is_cut_off_and_may_come_back(cluster: ToyCluster, door: Door) -> None:
    """16 MB are more than the buffers of the two ends hold."""
    count, words = 800, "x" * 20_000
    failed = DomainEvent(EventKind.STAGE_FAILED, NOBODY, Cell("look", 0), message=words)
    cluster.state.submit(PipelineRecord(NOBODY, "{}"), ())
    with DOORS[door](cluster, bound=32) as place:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        slow.connect(tuple(_host_and_port(place)))
        url = address(door, place, NOBODY)
        with watching(url, sock=slow, max_queue=1) as client, watching(url) as quick:
            client.hear()
            quick.hear()
            for sequence in range(20, count + 1, 20):
                cluster.state.move(
                    NOBODY, PipelineState.QUEUED, [failed] * 20, expected=[PipelineState.QUEUED]
                )
                while quick.hear_until("stage_failed")["sequence"] < sequence:
                    pass
            client.hear_all()
        assert client.code == 4008
        last = client.heard[-1]["sequence"]
        assert last < count
        with watching(address(door, place, NOBODY, last)) as back:
            while back.hear_until("stage_failed")["sequence"] < count:
                pass
    check_gapless(client.heard)
    check_gapless(back.heard)
    assert len(changes(client.heard)) + len(changes(back.heard)) == count


def _host_and_port(place: str) -> tuple[str, int]:
    host, _, number = place.partition(":")
    return host, int(number)


def test_silence_is_broken_by_heartbeats(cluster: ToyCluster, door: Door) -> None:
    pipeline_id = cluster.submit()
    with (
        DOORS[door](cluster, heartbeat_s=0.05) as place,
        watching(address(door, place, pipeline_id)) as client,
    ):
        client.hear()
        beat = client.hear()
    assert beat
    assert (beat["type"], beat["pipeline_id"], beat["sequence"]) == ("heartbeat", pipeline_id, 1)


def test_of_percentages_that_wait_the_newest_counts() -> None:
    """Changes are all kept; the percentage moves behind the change that came after it."""

    async def heard() -> list[str]:
        watch = Watch("p", (), bound=3)
        for text, slot in (("1 %", "share"), ("started", 1), ("2 %", "share"), ("done", 2)):
            watch.put(Told(text, (slot,)))
        return [told.text for _ in range(3) if (told := await watch.next())]

    assert asyncio.run(heard()) == ["started", "2 %", "done"]


@pytest.mark.parametrize(
    ("pipeline_id", "after", "code"),
    [(NOBODY, None, 4004), ("nonsense", None, 4004), (NOBODY, "-1", 4000), (NOBODY, "x", 4000)],
)
def test_what_cannot_be_watched_is_refused_with_a_code(
    cluster: ToyCluster, door: Door, pipeline_id: str, after: str | None, code: int
) -> None:
    with (
        DOORS[door](cluster) as place,
        watching(address(door, place, pipeline_id, after)) as client,
    ):
        assert client.hear_all() == []
    assert client.code == code


def test_a_match_that_is_deleted_ends_its_watchers(cluster: ToyCluster, door: Door) -> None:
    cluster.state.submit(PipelineRecord(NOBODY, "{}"), ())
    with DOORS[door](cluster) as place, watching(address(door, place, NOBODY)) as client:
        client.hear()
        cluster.state.remove(NOBODY)
        client.hear_all()
    assert client.code == 4004


# -- server-sent events


def _events(place: str, pipeline_id: str, last: int | None = None) -> list[tuple[str, Said]]:
    """(id, message) of each event until the stream ends."""
    url = f"http://{place}/api/v1/pipeline/{pipeline_id}/events"
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    found, place_of = [], ""
    with httpx.stream("GET", url, headers=headers, timeout=DEADLINE_S) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                place_of = value
            elif name == "data":
                found.append((place_of, json.loads(value)))
    return found


def test_an_event_stream_tells_the_same_and_ends(cluster: ToyCluster) -> None:
    pipeline_id = cluster.submit()
    with api(cluster) as place, watching(address("api", place, pipeline_id)) as client:
        client.hear()
        with Gate(cluster, "look"):
            heard: list[tuple[str, Said]] = []
            thread = threading.Thread(target=lambda: heard.extend(_events(place, pipeline_id, 1)))
            thread.start()
        thread.join(DEADLINE_S)
        client.hear_all()
    told = [said for _, said in heard]
    check_gapless(told)
    check_story(told)
    assert [(c["sequence"], c["type"]) for c in changes(told)] == [
        (c["sequence"], c["type"]) for c in changes(client.heard)
    ]
    # a browser that reconnects sends the id that it saw last
    assert all(int(number) == said["sequence"] for number, said in heard[1:])
    assert heard[0][0] == "1"


def test_an_event_stream_goes_on_after_the_last_event_id(cluster: ToyCluster) -> None:
    pipeline_id = cluster.submit()
    cluster.run()
    with api(cluster) as place:
        (_, snapshot), *missed = _events(place, pipeline_id, 4)
        last = missed[-1][1]["sequence"]
        url = f"http://{place}/api/v1/pipeline/{pipeline_id}/events"
        again = httpx.get(url, headers={"Last-Event-ID": str(last)})
    assert snapshot["next"] == 5
    assert [said["sequence"] for _, said in missed] == list(range(5, last + 1))
    assert again.status_code == 204  # or the browser would come again for ever


def test_event_streams_are_refused_with_problems(cluster: ToyCluster) -> None:
    with api(cluster) as place:
        url = f"http://{place}/api/v1/pipeline"
        assert httpx.get(f"{url}/{NOBODY}/events").status_code == 404
        assert httpx.get(f"{url}/{NOBODY}/events?after=-1").status_code == 422


# -- the port of its own


def test_beyond_this_machine_the_port_asks_for_a_ticket(cluster: ToyCluster) -> None:
    door = Doorkeeper.of(cluster.state, cluster.artifacts)
    own, other = cluster.submit(owner="club"), cluster.submit(owner="rival")
    reader, _ = door.keys.create("club", ["read"])
    operator, _ = door.keys.create("desk", ["read", "operate"])
    writer, _ = door.keys.create("club", ["submit"])
    here, there = "127.0.0.1", "192.0.2.7"
    assert door.admits(here, "", None)
    assert door.admits("::1", "", own)
    assert not door.admits(there, "", own)
    assert not door.admits(there, "forged.ticket", own)
    ticket = door.tickets.give(reader.key_id)
    assert door.admits(there, ticket, own)
    assert not door.admits(there, ticket, own)  # a ticket works once
    for key_id, match in ((reader.key_id, other), (reader.key_id, None), (writer.key_id, own)):
        assert not door.admits(there, door.tickets.give(key_id), match)
    assert door.admits(there, door.tickets.give(operator.key_id), None)
    assert not door.admits(there, door.tickets.give(""), own)  # given to somebody on this machine


def test_behind_a_proxy_nobody_is_on_this_machine(cluster: ToyCluster) -> None:
    with (
        port(cluster) as place,
        connect(f"ws://{place}/", additional_headers={"X-Forwarded-For": "127.0.0.1"}) as client,
        pytest.raises(ConnectionClosed) as closed,
    ):
        client.recv(DEADLINE_S)
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 4001


def test_pages_of_other_sites_cannot_read_the_port(cluster: ToyCluster) -> None:
    """A browser connects to loopback for any page that asks it to."""
    with port(cluster) as place:
        for origin in ("https://evil.example", "http://localhost.evil.example", "null"):
            with (
                pytest.raises(InvalidStatus, match="403"),
                watching(f"ws://{place}/", origin=origin),
            ):
                pass
        with watching(f"ws://{place}/", origin="http://localhost:3000"):
            pass


def test_one_process_serves_the_port(redis_url: str) -> None:
    with_state = RedisStateStore(redis_url)
    with_state.begin(1)
    first, second = (Place(with_state, name, 0.5) for name in ("a", "b"))
    first.take()
    with pytest.raises(ResourceError, match="another process serves"):
        asyncio.run(_keeping(first, second.take))
    first.leave()
    second.take()
    asyncio.run(asyncio.wait_for(first.keep(), DEADLINE_S))  # learns that it has lost it
    with_state.close()


async def _keeping(place: Place, call: Callable[[], None]) -> None:
    keeping = asyncio.ensure_future(place.keep())
    try:
        await asyncio.to_thread(call)
    finally:
        assert not keeping.done()
        keeping.cancel()


def test_the_process_serves_until_it_is_told_to_stop(redis_url: str, tmp_path: Path) -> None:
    state = RedisStateStore(redis_url)
    state.begin(1)
    cluster = ToyCluster(state, FolderArtifactStore(tmp_path / "artifacts"))
    pipeline_id = cluster.submit()
    with _process(redis_url, tmp_path / "artifacts") as (process, number):
        with watching(f"ws://127.0.0.1:{number}/?pipeline_id={pipeline_id}") as client:
            client.hear()
            cluster.run()
            check_story(client.hear_all())
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    assert state.alone("progress-port", 1)  # the next one need not wait
    state.close()


@contextmanager
def _process(redis_url: str, artifacts: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The real process, listening, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    places = {"REDIS_URL": redis_url, "ARTIFACT_URL": str(artifacts)}
    process = subprocess.Popen(
        [sys.executable, "-m", "infrastructure.progress", "--port", str(number)],
        env={**os.environ, **places},
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stderr
            assert f"ws://127.0.0.1:{number}" in process.stderr.readline()
            yield process, number
        finally:
            process.kill()


# -- shares


def _change(number: int, kind: EventKind, cell: Cell | None = None, message: str = "") -> Change:
    event = DomainEvent(kind, "0af3" * 8, cell, message=message)
    return Change(number, 1_772_373_600.0 + number, event)


def _begun() -> PipelineProgress:
    """A plan of 3 segments with 10 frames each; two source stages have started."""
    story = [
        _change(1, EventKind.PIPELINE_SUBMITTED),
        _change(2, EventKind.PIPELINE_STARTED),
        _change(3, EventKind.STAGE_STARTED, Cell("detection", 0)),
        _change(4, EventKind.STAGE_STARTED, Cell("tracking", 0)),
    ]
    record = PipelineRecord("0af3" * 8, "{}", PipelineState.RUNNING)
    return PipelineProgress.of(Look(record, story, plan=small_plan(3)))


def _seen(**facts: Any) -> Look:
    return Look(PipelineRecord("0af3" * 8, "{}", PipelineState.RUNNING), **facts)


def _shares(of: PipelineProgress) -> dict[str, float]:
    return {said["stage"]: said["share_done"] for said in map(_said, of.percentages())}


def _said(told: Told) -> Said:
    return json.loads(told.text)  # type: ignore[no-any-return]


def test_a_share_is_frames_done_and_under_way_of_all_frames() -> None:
    begun = _begun()
    begun.see(_seen(done=frozenset({0}), frames={0: 10, 2: 4}))  # jobs 0 to 2 are the passes
    assert _shares(begun) == {"detection": round((10 + 4) / 30, 3)}
    begun.see(_seen(done=frozenset({0, 2, 3}), frames={2: 9}))  # a done pass counts once
    assert _shares(begun) == {"detection": round(20 / 30, 3), "tracking": round(10 / 30, 3)}
    assert _shares(begun) == {}  # nothing new
    begun.see(_seen(done=frozenset({2, 3})))  # a pass whose result was lost is done again
    assert _shares(begun) == {"detection": round(10 / 30, 3)}


def test_a_cell_that_is_done_counts_before_the_jobs_are_looked_at_again() -> None:
    begun = _begun()
    begun.cell_done(Cell("detection", 1))
    begun.cell_done(Cell("pitch", 1))  # of the same job
    assert _shares(begun) == {"detection": round(10 / 30, 3)}


def test_a_retry_forgets_failures_and_keeps_what_is_done() -> None:
    begun = _begun()
    begun.take(_change(5, EventKind.STAGE_FAILED, Cell("tracking", 1), "it"))
    begun.take(_change(6, EventKind.PIPELINE_FAILED, message="it"))
    begun.take(_change(7, EventKind.PIPELINE_RETRIED))
    begun.take(_change(8, EventKind.PIPELINE_STARTED))
    ends = small_plan(3).job_of[Cell("detection", END)].number
    begun.see(_seen(done=frozenset({0, 1, 2, ends})))
    stages = _said(begun.opening()[0])["stages"]
    states = {each["stage"]: (each["state"], each["share_done"]) for each in stages}
    assert states["detection"] == ("completed", 1)
    assert states["tracking"] == ("waiting", 0)


def test_a_worker_reports_frames_while_it_decodes(cluster: ToyCluster, monkeypatch: Any) -> None:
    monkeypatch.setattr(progress, "REPORT_EVERY_S", 0.0)
    monkeypatch.setattr("tests.toy_match.PassRunner", _one_by_one)
    pipeline_id = cluster.submit()
    seen = []
    cluster.happening = lambda *_: seen.append(dict(cluster.state.frames_reported(pipeline_id)))
    cluster.run()
    # before each of its five frames the first pass has reported those before
    assert seen[:FRAMES] == [{}, {0: 1}, {0: 2}, {0: 3}, {0: 4}]
    assert cluster.result(pipeline_id) == TOTAL


def _one_by_one(*parts: Any) -> Any:
    return PassRunner(*parts[:-1], 1)


def test_frames_are_reported_at_most_once_a_second(tmp_path: Path) -> None:
    state = SQLiteStateStore(tmp_path / "state.sqlite")
    start(state)
    reports = FrameReports(state, take(state))
    for _ in range(3):
        reports.add(8)
    assert state.frames_reported("p") == {0: 8}
    state.close()


def test_a_report_that_fails_costs_the_work_nothing() -> None:
    away = RedisStateStore("redis://127.0.0.1:1/0")
    FrameReports(away, Lease("p", 0, 1)).add(8)
    away.close()


# -- the reference


def _documented() -> dict[str, Said]:
    examples = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return {said["type"]: said for said in map(json.loads, examples)}


def test_the_reference_shows_every_message_as_it_is() -> None:
    begun = _begun()
    begun.see(_seen(done=frozenset({0, 3}), frames={1: 4}))
    told = [*begun.opening(0), *begun.percentages(), progress.heartbeat("0af3" * 8, 4)]
    for number, kind, cell, message in (
        (5, EventKind.STAGE_COMPLETED, Cell("detection", END), ""),
        (6, EventKind.STAGE_FAILED, Cell("tracking", 1), "tracking/1: ValueError: no rows"),
        (7, EventKind.PIPELINE_FAILED, None, "tracking/1: ValueError: no rows"),
        (8, EventKind.PIPELINE_CANCELLED, None, ""),
        (9, EventKind.PIPELINE_COMPLETED, None, ""),
    ):
        told.append(begun.take(_change(number, kind, cell, message)))
    said = {each["type"]: each for each in reversed([_said(each) for each in told])}
    documented = _documented()
    assert documented.keys() == said.keys()
    for kind, example in documented.items():
        if kind in {"snapshot", "stage_progress", "heartbeat"}:  # told now
            example["time"] = said[kind]["time"]
        assert example == said[kind]


def test_the_reference_names_every_close_code() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d{4}) \|", DOCUMENT.read_text(), re.M)}
    assert codes == {*Close, 1001, 1012}
