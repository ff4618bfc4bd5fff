"""What the Redis state store does beyond the contract: loss, restarts, memory, many pipelines."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import redis

from application.state import Admission, Lease, PipelineRecord, StateStore, WorkerRecord
from deploy.servers import RedisServer
from domain.errors import ConfigurationError, ResourceError, StateLostError
from domain.pipeline import EventKind, PipelineState
from infrastructure.state.redis import RedisStateStore
from infrastructure.state.redis_server import check_server
from tests.faults.proxy import Proxy
from tests.state_stores import (
    KEY,
    PLAN,
    Clock,
    admission_of,
    completed,
    events,
    small_plan,
    stage_started,
    start,
    state_of,
    submit,
    take,
)

Connect = Callable[..., RedisStateStore]
NewRedis = Callable[..., RedisServer]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes a store on the Redis at a URL; closed at the end of the test."""
    with ExitStack() as until:

        def make(url: str, **options: Any) -> RedisStateStore:
            store = RedisStateStore(url, "t:", **options)
            until.callback(store.close)
            return store

        yield make


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as opened:
        yield opened


@pytest.fixture
def store(redis_url: str, connect: Connect) -> RedisStateStore:
    made = connect(redis_url)
    made.begin(1)
    return made


LEASE = Lease("p", 0, 1)
EVERY_METHOD: dict[str, Callable[[StateStore], object]] = {
    "generation": lambda state: state.generation,
    "lift": lambda state: state.lift(1),
    "submit": lambda state: state.submit(PipelineRecord("p", "{}"), ()),
    "pipeline": lambda state: state.pipeline("p"),
    "pipelines": lambda state: state.pipelines(),
    "move": lambda state: state.move("p", PipelineState.CANCELLED, (), expected=[]),
    "remove": lambda state: state.remove("p"),
    "forget_cells": lambda state: state.forget_cells("p"),
    "claim": lambda state: state.claim("cpu", (), "me", 1),
    "admit": lambda state: state.admit(LEASE, Admission(PLAN, 1, 1, ()), ()),
    "started": lambda state: state.started("p", ()),
    "renew": lambda state: state.renew(LEASE, 1),
    "give_back": lambda state: state.give_back(LEASE),
    "fail": lambda state: state.fail(LEASE, "it", None),
    "commit": lambda state: state.commit(LEASE, {}, (), ()),
    "reopen": lambda state: state.reopen(LEASE, 1, "cpu"),
    "expire": lambda state: state.expire(3, "it"),
    "ready": lambda state: state.ready("cpu"),
    "keys": lambda state: state.keys("p", [0]),
    "jobs": lambda state: state.jobs("p"),
    "report": lambda state: state.report(LEASE, 1),
    "frames_reported": lambda state: state.frames_reported("p"),
    "alone": lambda state: state.alone("it", 1),
    "register": lambda state: state.register(WorkerRecord("w", (), ())),
    "workers": lambda state: state.workers(),
    "last_number": lambda state: state.last_number,
    "story": lambda state: state.story("p"),
    "log": lambda state: state.log(0),
    "read_up_to": lambda state: state.read_up_to("r", 1),
    "readers": lambda state: state.readers(),
    "trim": lambda state: state.trim(1),
}


def test_every_method_of_the_port_is_asked_about_a_lost_state() -> None:
    port = {name for name in vars(StateStore) if not name.startswith("_")}
    assert port - {"begin", "close"} == set(EVERY_METHOD)


@pytest.mark.parametrize("method", EVERY_METHOD)
def test_a_store_that_forgot_everything_says_so_until_it_is_begun(
    store: RedisStateStore, client: Any, method: str
) -> None:
    submit(store)
    client.flushall()
    with pytest.raises(StateLostError, match="must be rebuilt from storage"):
        EVERY_METHOD[method](store)
    assert client.keys("t:*") == []
    store.begin(2)
    assert store.generation == 2
    assert store.pipelines() == []


def test_stores_of_other_prefixes_know_nothing_of_each_other(
    store: RedisStateStore, redis_url: str
) -> None:
    submit(store)
    other = RedisStateStore(redis_url, "other:")
    with pytest.raises(StateLostError):
        other.pipelines()
    other.begin(1)
    assert other.pipelines() == []
    other.close()


def test_time_is_that_of_redis_unless_a_test_sets_it(store: RedisStateStore, client: Any) -> None:
    before = client.time()[0]
    submit(store)
    record = store.pipeline("p")
    assert record
    assert before <= record.submitted_at <= client.time()[0] + 1
    assert record.submitted_at % 1  # microseconds


def test_only_one_of_many_is_alone(redis_url: str, connect: Connect) -> None:
    clock = Clock()
    stores = [connect(redis_url, clock=clock) for _ in range(3)]
    stores[0].begin(1)
    assert [store.alone("reconcile", 10) for store in stores] == [True, False, False]
    assert stores[1].alone("collect", 10)
    clock.now += 10
    assert [store.alone("reconcile", 10) for store in stores] == [True, False, False]


def test_a_named_holder_stays_alone_as_long_as_it_asks_in_time(
    redis_url: str, connect: Connect
) -> None:
    clock = Clock()
    first, second = (connect(redis_url, clock=clock) for _ in range(2))
    first.begin(1)
    assert first.alone("serve", 10, "a")
    clock.now += 9
    assert (second.alone("serve", 10, "b"), second.alone("serve", 10)) == (False, False)
    assert first.alone("serve", 10, "a")  # it has it for ten seconds from now
    clock.now += 9
    assert not second.alone("serve", 10, "b")
    assert first.alone("serve", 0, "a")  # lets it go
    assert second.alone("serve", 10, "b")
    assert not first.alone("serve", 10, "a")


# -- what is left, and how much


def test_a_finished_pipeline_leaves_no_lease_and_no_place_in_a_queue(
    store: RedisStateStore, client: Any
) -> None:
    plan = small_plan(2)
    for pipeline_id, end in (("done", None), ("dead", "fail"), ("off", "cancel")):
        submit(store, pipeline_id, owner="club")
        store.admit(take(store, "cpu"), admission_of(plan), ())
        held = take(store)
        if end == "cancel":
            store.fail(held, "it", 99.0)
            take(store)
            expected = [PipelineState.RUNNING]
            store.move(pipeline_id, PipelineState.CANCELLED, (), expected=expected)
        elif end == "fail":
            store.fail(held, "it", None)
        else:
            store.give_back(held)
        while lease := store.claim("gpu", (), "me", 9) or store.claim("cpu", (), "me", 9):
            job = plan.jobs[lease.job]
            keys = {plan.cell_numbers[cell]: KEY for cell in job.cells}
            store.commit(lease, keys, plan.followers(job), ())
    assert {record.state.value for record in store.pipelines()} == {
        *("completed", "failed", "cancelled")
    }
    left = {key.decode().removeprefix("t:") for key in client.keys("t:*")}
    kept = ("p:", "story:", "done:", "told:", "keys:", "tokens:", "troubles:", "of:", "in:")
    assert {name for name in left if not name.startswith(kept)} == {
        *("all", "admissions", "submissions", "counter", "run", "log")
    }
    for record in store.pipelines():
        store.remove(record.pipeline_id)
    left = {key.decode().removeprefix("t:") for key in client.keys("t:*")}
    assert left == {"admissions", "submissions", "counter", "run", "log"}


def test_a_waiting_match_costs_one_record_and_a_running_one_few_bytes_a_cell(
    store: RedisStateStore, client: Any
) -> None:
    def bytes_kept() -> int:
        names = [name for name in client.keys("t:*") if name != b"t:log"]
        return sum(int(client.memory_usage(name, samples=0) or 0) for name in names)

    empty = bytes_kept()
    configuration = '{"input":["/videos/league/2026-11-20/home-away/first-half.mp4"]}'
    trace = f"00-{'4b' * 16}-{'00f0' * 4}-01"
    for number in range(100):
        name = f"{number:032x}"
        store.submit(PipelineRecord(name, configuration, owner="club", traceparent=trace), ())
    waiting = (bytes_kept() - empty) / 100
    assert waiting < 2000
    plan = small_plan(900)  # 900 passes, 1800 timeline cells, 5 END cells: 2705 jobs
    before = bytes_kept()
    store.admit(take(store, "cpu"), admission_of(plan), ())
    for _ in range(400):
        lease = take(store)
        job = plan.jobs[lease.job]
        keys = {plan.cell_numbers[cell]: KEY for cell in job.cells}
        store.commit(lease, keys, plan.followers(job), completed(lease.job))
    assert len(plan.jobs) == 2705
    assert (bytes_kept() - before) / len(plan.cells) < 60  # of these 32 for the key


def test_a_claim_costs_the_same_behind_thousands_of_waiting_matches(
    store: RedisStateStore, client: Any, redis_url: str, connect: Connect
) -> None:
    """The club is at its cap; the scout came last."""
    capped = connect(redis_url, max_running=50, max_per_owner=1)
    records = [PipelineRecord(f"club{number}", "{}", owner="club") for number in range(3000)]
    for record in records:
        store.submit(record, ())
    assert take(capped, "cpu").pipeline_id == "club0"
    submit(store, "scout", owner="scout", priority="low")
    client.config_resetstat()
    assert take(capped, "cpu").pipeline_id == "scout"
    assert capped.claim("cpu", (), "me", 10) is None
    calls = sum(each["calls"] for each in client.info("commandstats").values())
    assert calls < 60


# -- faults


def test_a_restarted_redis_gives_no_number_twice(new_redis: NewRedis, connect: Connect) -> None:
    """It forgot its last second: what it wrote after `copy` was made."""
    server = new_redis(appendfsync="always")
    store, other = connect(server.url), connect(server.url)
    store.begin(1)
    start(store, jobs=2, ready=[0, 1])
    data, copy = server.folder / "data", server.folder / "copy"
    shutil.copytree(data, copy)
    store.started("p", events(EventKind.STAGE_STARTED))
    lease = take(store)
    told = store.log(0)[-1].number
    server.kill()
    shutil.rmtree(data)
    copy.rename(data)
    server.start()
    assert store.generation == other.generation == 2  # one generation, however many connect
    again = take(store)
    assert again.job == lease.job
    assert again.token > lease.token
    store.started("p", events(EventKind.STAGE_STARTED))
    assert store.log(0)[-1].number > told
    with pytest.raises(Exception, match="has ended"):
        store.commit(lease, {0: KEY}, (), ())


def test_a_restart_without_a_file_is_a_lost_state(new_redis: NewRedis, connect: Connect) -> None:
    server = new_redis(appendonly="no")
    store = connect(server.url)
    store.begin(1)
    server.kill()
    server.start()
    with pytest.raises(StateLostError):
        store.pipelines()


def test_a_redis_that_is_away_is_named_without_its_password(
    new_redis: NewRedis, connect: Connect
) -> None:
    server = new_redis(requirepass="s3cret")
    store = connect(server.url)
    store.begin(1)
    submit(store)
    server.stop()
    with pytest.raises(ResourceError) as caught:
        store.pipelines()
    text = str(caught.value)
    assert text.startswith(f"Redis at 127.0.0.1:{server.port} cannot be reached (")
    assert "s3cret" not in text
    assert "\n" not in text
    server.start()
    assert state_of(store) == PipelineState.QUEUED


def test_a_wrong_password_is_told_at_once(new_redis: NewRedis, connect: Connect) -> None:
    server = new_redis(requirepass="s3cret")
    store = connect(server.url.replace("s3cret", "guess"))
    with pytest.raises(ResourceError, match="invalid username-password pair") as caught:
        store.pipelines()
    assert "guess" not in str(caught.value)


def test_a_url_of_something_else_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="rediss://"):
        RedisStateStore("http://127.0.0.1:1")


def test_a_commit_whose_answer_was_lost_is_sent_again_and_counts_once(
    store: RedisStateStore, redis_url: str, connect: Connect
) -> None:
    start(store, jobs=1, ready=[0])
    lease, answers = take(store), []
    port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
    with Proxy(("127.0.0.1", port)) as proxy:
        far = connect(f"redis://127.0.0.1:{proxy.port}/0")
        far.generation  # noqa: B018  (connects)
        proxy.latency_s = 0.5
        work = threading.Thread(
            target=lambda: answers.append(far.commit(lease, {0: KEY}, (), completed(0)))
        )
        work.start()
        while state_of(store) != PipelineState.COMPLETED:
            time.sleep(0.01)
        proxy.cut()  # the answer is on its way for half a second
        proxy.latency_s = 0.0
        proxy.restore()
        work.join()
    assert [answer.state for answer in answers] == [PipelineState.COMPLETED]
    assert [entry.event.kind for entry in store.log(0)] == ["CellCompleted", "PipelineCompleted"]


def test_a_full_redis_takes_no_new_work_and_finishes_what_runs(
    new_redis: NewRedis, connect: Connect
) -> None:
    server = new_redis()
    store = connect(server.url)
    store.begin(1)
    start(store, jobs=2, ready=[0, 1])
    lease = take(store)
    before = store.jobs("p")
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", 1)
        for refused in (lambda: submit(store, "q"), lambda: take(store)):
            with pytest.raises(ResourceError, match="out of memory: raise its maxmemory"):
                refused()
        assert store.jobs("p") == before
        assert store.renew(lease, 10)
        assert store.alone("reconcile", 1)
        store.started("p", [stage_started("ball")])
        store.register(WorkerRecord("w", ("gpu",), ()))
        store.read_up_to("relay", 1)
        store.commit(lease, {0: KEY}, (), completed(0))
        client.config_set("maxmemory", 0)
    assert store.jobs("p").done == {0}
    assert take(store).job == 1


# -- is the server fit


def test_a_server_that_may_evict_is_refused_and_one_without_a_file_is_warned_of(
    new_redis: NewRedis, redis_url: str
) -> None:
    fit = check_server(redis_url)
    assert (fit.refusals(), fit.policy, fit.database) == ((), "noeviction", 0)
    assert fit.shares_database_with(check_server(redis_url))
    assert not fit.shares_database_with(check_server(redis_url.removesuffix("/0") + "/1"))
    unfit = check_server(new_redis(maxmemory_policy="allkeys-lru", appendonly="no").url)
    assert "maxmemory-policy allkeys-lru" in unfit.refusals()[0]
    assert "append-only" in unfit.warnings()[0]
    old = replace(fit, version="6.2.7", append_only=True)
    assert "version 6.2.7" in old.refusals()[0]
    assert old.warnings() == ()
