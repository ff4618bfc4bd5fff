"""What a cluster needs: settings that fit, storage, Redis, broker, Pulsar, workers."""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

from kombu import Connection
from kombu.exceptions import OperationalError

from application import records
from application.match import PlanDocument
from application.outbox import RELAY
from application.state import PipelineRecord, WorkerRecord
from domain.errors import ArtifactError, StateLostError
from domain.grid import Queue
from domain.pipeline import PipelineState
from infrastructure.doctor.broker_of_events import pulsar
from infrastructure.doctor.findings import Check, Note, failed, good, warning
from infrastructure.settings import Settings, masked
from infrastructure.state.redis import RedisStateStore
from infrastructure.state.redis_server import ServerFacts, check_server, connect
from infrastructure.storage.opening import check_store, open_store

_QUEUES: tuple[Queue, ...] = ("gpu", "cpu")
_LITTLE_ROOM = 10 << 30
_FULL = 0.8
_SKEW_S = 1.0
_LATE_S = 60.0
_LOOKED_AT = 100
_RUNS = "runs:"


class ClusterChecks:
    """The checks of one cluster; close it after use.

    They only look: nothing is kept in the state, and what is written to storage is removed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._facts: ServerFacts | None = None
        self._is_begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if "_state" in self.__dict__:
            self._state.close()

    def all(self) -> Mapping[str, Check]:
        """By name, in an order in which later ones may use what earlier ones found."""
        return {
            "videos": self.videos,
            "storage": self.storage,
            "state": self.state,
            "clock": self.clock,
            "broker": self.broker,
            "pulsar": lambda: pulsar(self._settings),
            "workers": self.workers,
            "matches": self.matches,
            "relay": self.relay,
        }

    @cached_property
    def _store(self) -> Any:
        settings = self._settings
        cache = settings.artifact_cache_dir
        return open_store(settings.artifact_url, cache, settings.artifact_cache_mb << 20)

    @cached_property
    def _state(self) -> RedisStateStore:
        return RedisStateStore(self._settings.redis_url)

    @cached_property
    def _workers(self) -> Sequence[WorkerRecord]:
        return self._state.workers()

    def videos(self) -> Iterator[Note]:
        """The folders that clients may name files in."""
        roots = self._settings.ml_pipeline_video_roots
        if not roots:
            yield warning("ML_PIPELINE_VIDEO_ROOTS is empty: every path is refused; set it")
        for root in roots:
            if not root.is_dir():
                yield failed(
                    f"{root}: no such folder: correct ML_PIPELINE_VIDEO_ROOTS, or mount it"
                )
            elif not os.access(root, os.R_OK | os.X_OK):
                yield failed(f"{root}: cannot be read: allow it to user {os.geteuid()}")
            else:
                yield good(f"{root} is readable")

    def storage(self) -> Iterator[Note]:
        """Artifacts: written, read, the first writer wins, room."""
        check_store(self._store)
        place = masked(self._settings.artifact_url)
        free = self._store.free_bytes()
        if free is None:
            yield good(f"{place} takes records, and the first writer of one wins")
        elif free < _LITTLE_ROOM:
            yield warning(f"{place} has {_gb(free)} free: a match takes about 1 GB; free space")
        else:
            yield good(f"{place} takes records, {_gb(free)} free")

    def state(self) -> Iterator[Note]:
        """The Redis that holds the state: whether it is fit for it."""
        facts = self._facts = check_server(self._settings.redis_url)
        yield from map(failed, facts.refusals())
        yield from map(warning, facts.warnings())
        yield from _memory(facts)
        try:
            generation = self._state.generation
        except StateLostError:
            yield good("nothing is in it yet: the first worker fills it from storage")
        else:
            self._is_begun = True
            yield good(f"Redis {facts.version} at {facts.place}, generation {generation}")

    def clock(self) -> Iterator[Note]:
        """Leases go by Redis's clock; logs, and the tokens of storage and Pulsar, by this one's."""
        client = connect(self._settings.redis_url)
        try:
            before = time.time()
            seconds, micros = client.time()  # type: ignore[misc]
            skew = (before + time.time()) / 2 - (seconds + micros / 1e6)
        finally:
            client.close()
        said = f"this machine is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} Redis"
        late = warning(f"{said}: logs and tokens will not fit; run NTP on both")
        yield late if abs(skew) > _SKEW_S else good(said)

    def broker(self) -> Iterator[Note]:
        """The queues' server, and that it does not share the state's database."""
        shared = self._settings.shares_database
        for url in filter(None, self._settings.celery_broker_url.split(";")):
            if url.startswith(("redis://", "rediss://")):
                facts = check_server(url)
                shared |= bool(self._facts and self._facts.shares_database_with(facts))
                yield good(f"Redis {facts.version} at {facts.place}, database {facts.database}")
                yield from _memory(facts)
            else:
                yield _reached(url)
        if shared:
            yield warning(
                "REDIS_URL and CELERY_BROKER_URL share a database: purging a queue would hit the "
                "state; give the queues another number"
            )

    def workers(self) -> Iterator[Note]:
        """Who is alive on each queue, and what they run networks on."""
        if not self._is_begun:
            return
        for queue in _QUEUES:
            there = [worker for worker in self._workers if queue in worker.queues]
            yield (
                _on(queue, there)
                if there
                else warning(
                    f"no worker on the queue {queue}: start one with "
                    f"python -m celery -A infrastructure.celery_app worker -Q {queue}"
                )
            )
        if len({_versions(worker) for worker in self._workers}) > 1:
            yield warning("workers have stages of different versions: finish the upgrade")

    def matches(self) -> Iterator[Note]:
        """What runs and waits, what nobody can serve, what was given up."""
        if not self._is_begun:
            return
        running = self._of(PipelineState.RUNNING)
        waiting, gone = len(self._of(PipelineState.QUEUED)), self._of(PipelineState.FAILED)
        yield good(f"{_some(running)} run, {waiting} wait, {_some(gone)} failed")
        for record in running:
            yield from self._unserved(record)
        yield from self._dead_letters([*running, *gone])

    def relay(self) -> Iterator[Note]:
        """How much of the log waits for Pulsar."""
        if not self._is_begun or not self._settings.pulsar_service_url:
            return
        spilled = sum(int(name.rpartition("-")[2]) for name in self._store.records("log"))
        position = self._state.readers().get(RELAY)
        entries = self._state.log(position or 0)
        late_s = time.time() - entries[0].time if entries else 0.0
        said = f"{len(entries) + spilled} events wait{', or more' if len(entries) >= 1000 else ''}"
        if position is None:
            yield warning(f"no relay has run yet, {said}: start python -m infrastructure.relay")
        elif spilled or late_s > _LATE_S:
            yield warning(f"{said}, the first for {late_s:.0f} s: see whether the relay runs")
        else:
            yield good(said)

    def _of(self, state: PipelineState) -> Sequence[PipelineRecord]:
        return self._state.pipelines(state=state, limit=_LOOKED_AT)

    def _unserved(self, record: PipelineRecord) -> Iterator[Note]:
        """The needs of a match that no live worker meets; it is planned again after a minute."""
        if record.plan is None:
            return
        try:
            document = records.decode(bytes(self._store.read(record.plan)), PlanDocument)
        except ArtifactError as error:
            yield failed(f"match {record.pipeline_id}: its plan is gone ({error})")
            return
        for queue, needs in document.needs.items():
            able = [set(each.able) for each in self._workers if queue in each.queues]
            if able and not any(set(needs) <= each for each in able):
                lacking = min((set(needs) - each for each in able), key=len)
                yield warning(
                    f"match {record.pipeline_id}: no worker on {queue} has "
                    f"{', '.join(sorted(lacking))}: start one, or it is planned again"
                )

    def _dead_letters(self, looked_at: Sequence[PipelineRecord]) -> Iterator[Note]:
        """Jobs that were given up, in what runs and in the last matches that failed."""
        dead = {
            record.pipeline_id: count
            for record in looked_at
            if (count := sum(each.dead for each in self._state.jobs(record.pipeline_id).troubles))
        }
        if dead:
            first = next(iter(dead))
            yield warning(
                f"{sum(dead.values())} jobs of {len(dead)} matches were given up: see the errors, "
                f"then footanalytics retry {first} and so on"
            )


def _memory(facts: ServerFacts) -> Iterator[Note]:
    if facts.memory_limit and facts.memory_used > _FULL * facts.memory_limit:
        yield warning(
            f"Redis at {facts.place} uses {facts.memory_used / facts.memory_limit:.0%} of its "
            "maxmemory: raise it, or delete matches"
        )


def _reached(url: str) -> Note:
    """A broker that is no plain Redis."""
    if url.startswith("memory:"):
        return failed("CELERY_BROKER_URL=memory:// reaches no other process: give a Redis")
    options = {"socket_connect_timeout": 2, "socket_timeout": 5}
    with Connection(url, transport_options=options) as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=10)
        except OperationalError as error:
            return failed(f"{masked(url)} cannot be reached ({error}): check CELERY_BROKER_URL")
    return good(f"{masked(url)} answers")


def _on(queue: Queue, workers: Sequence[WorkerRecord]) -> Note:
    able = Counter(word for worker in workers for word in worker.able if word.startswith(_RUNS))
    parts = (f"{word.removeprefix(_RUNS)} ({count})" for word, count in sorted(able.items()))
    return good(f"{queue}: {len(workers)} alive; able to run {', '.join(parts)}")


def _versions(worker: WorkerRecord) -> frozenset[str]:
    return frozenset(word for word in worker.able if not word.startswith(_RUNS))


def _some(looked_at: Sequence[object]) -> str:
    return f"{len(looked_at)}{' or more' if len(looked_at) == _LOOKED_AT else ''}"


def _gb(count: int) -> str:
    return f"{count / 2**30:.1f} GB"
