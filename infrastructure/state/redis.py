"""The pipelines' state in a Redis: the adapter of the port `StateStore` for many machines.

Each method is one script, atomic in Redis; scripts/common.lua lists the keys. A Redis that comes
back from a restart may have forgotten its last second, so it goes on in the next generation: no
token and no number of the log is given twice.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from application.state import (
    PRIORITIES,
    REOPEN_DELAY_S,
    REOPENED,
    STUCK,
    WORKER_LIFE_S,
    Admission,
    Change,
    JobStates,
    Lease,
    LogEntry,
    PipelineRecord,
    Priority,
    Progress,
    WorkerRecord,
)
from domain.errors import LeaseError, TransitionError
from domain.grid import Follower, Queue
from domain.pipeline import DomainEvent, PipelineState
from infrastructure.state import redis_replies as replies
from infrastructure.state.redis_server import RedisServer, packed

_AT_ONCE = 500


class RedisStateStore:
    """State in the Redis at `url`, under keys that begin with `prefix`.

    At most `max_running` pipelines are admitted at once, urgent ones even above that, and
    `max_per_owner` of one owner. Time is that of Redis unless there is a `clock`.
    """

    def __init__(
        self,
        url: str,
        prefix: str = "footanalytics:",
        clock: Callable[[], float] | None = None,
        *,
        max_running: int = 8,
        max_per_owner: int = 8,
    ) -> None:
        self._server = RedisServer(url, prefix)
        self._clock = clock
        self._caps = (max_running, max_per_owner)

    def _run(self, script: str, raw: bytes = b"", repeat: bool = True, **arguments: object) -> Any:
        now = "" if self._clock is None else repr(self._clock())
        return self._server.run(script, now, *self._caps, packed(arguments), raw, repeat=repeat)

    def begin(self, generation: int) -> None:
        self._server.run("begin", generation << 32)

    @property
    def generation(self) -> int:
        return self.last_number >> 32

    def lift(self, number: int) -> None:
        self._run("lift", number=number)

    # -- pipelines

    def submit(self, record: PipelineRecord, events: Sequence[DomainEvent]) -> PipelineRecord:
        kept = self._run(
            "submit",
            pipeline=record.pipeline_id,
            state=record.state.value,
            fields=replies.fields_of(record),
            events=replies.event_parts(events),
        )
        return replies.record_from(record.pipeline_id, kept)

    def pipeline(self, pipeline_id: str) -> PipelineRecord | None:
        kept = self._run("pipeline", pipeline=pipeline_id)
        return replies.record_from(pipeline_id, kept) if kept else None

    def pipelines(
        self,
        *,
        owner: str | None = None,
        state: PipelineState | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> Sequence[PipelineRecord]:
        found = self._run(
            "pipelines",
            owner=owner,
            state=state.value if state else None,
            offset=offset,
            limit=limit,
        )
        return [replies.record_from(identity.decode(), kept) for identity, kept in found]

    def move(
        self,
        pipeline_id: str,
        state: PipelineState,
        events: Sequence[DomainEvent],
        *,
        expected: Collection[PipelineState],
        error: str = "",
        attempt: int = 0,
    ) -> None:
        obstacle = self._run(
            "move",
            repeat=False,
            pipeline=pipeline_id,
            state=state.value,
            events=replies.event_parts(events),
            expected=[each.value for each in expected],
            error=error,
            attempt=attempt,
        )
        if obstacle:
            raise TransitionError(
                f"pipeline {pipeline_id} is {obstacle.decode()} and cannot become {state}"
            )

    def remove(self, pipeline_id: str) -> None:
        if not self._run("remove", pipeline=pipeline_id):
            raise TransitionError(f"pipeline {pipeline_id} is running: cancel it first")

    def forget_cells(self, pipeline_id: str) -> None:
        self._run("forget_cells", pipeline=pipeline_id)

    # -- jobs

    def claim(
        self, queue: Queue, able: Collection[str], holder: str, seconds: float
    ) -> Lease | None:
        taken = self._run(
            "claim", repeat=False, queue=queue, able=list(able), holder=holder, seconds=seconds
        )
        return Lease(taken[0].decode(), *map(int, taken[1:])) if taken else None

    def admit(self, lease: Lease, admission: Admission, events: Sequence[DomainEvent]) -> None:
        admitted = self._run(
            "admit",
            **_of(lease),
            plan=replies.plan_text(admission.plan),
            jobs=admission.jobs,
            cells=admission.cells,
            ready=admission.ready,
            cpu_needs="\n".join(admission.needs.get("cpu", ())),
            gpu_needs="\n".join(admission.needs.get("gpu", ())),
            keep_done=admission.keep_done,
            events=replies.event_parts(events),
            stuck=STUCK,
        )
        if not admitted:
            raise _ended(lease)

    def started(self, pipeline_id: str, events: Sequence[DomainEvent]) -> None:
        self._run("started", pipeline=pipeline_id, events=replies.event_parts(events))

    def renew(self, lease: Lease, seconds: float) -> bool:
        return bool(self._run("renew", **_of(lease), seconds=seconds))

    def give_back(self, lease: Lease) -> None:
        self._run("give_back", **_of(lease))

    def fail(
        self,
        lease: Lease,
        error: str,
        retry_in_s: float | None,
        events: Sequence[DomainEvent] = (),
        *,
        lost: bool = False,
    ) -> Progress:
        answer = self._run(
            "fail",
            **_of(lease),
            error=error,
            delay=retry_in_s,
            lost=lost,
            events=replies.event_parts(events),
            stuck=STUCK,
        )
        return replies.progress_from(answer)

    def commit(
        self,
        lease: Lease,
        keys: Mapping[int, str],
        followers: Sequence[Follower],
        events: Sequence[DomainEvent],
    ) -> Progress:
        runs, raw = replies.key_runs(keys)
        answer = self._run(
            "commit",
            raw,
            **_of(lease),
            runs=runs,
            followers=replies.follower_parts(followers),
            events=replies.event_parts(events),
            stuck=STUCK,
        )
        if not answer:
            raise _ended(lease)
        return replies.progress_from(answer)

    def reopen(self, lease: Lease, lost: int, queue: Queue) -> None:
        self._run(
            "reopen",
            **_of(lease),
            lost=lost,
            queue=queue,
            why=REOPENED,
            delay=REOPEN_DELAY_S,
            stuck=STUCK,
        )

    def expire(self, max_losses: int, error: str) -> int:
        total, complete = 0, 0
        while not complete:
            freed, complete = self._run(
                "expire", max_losses=max_losses, error=error, limit=_AT_ONCE, stuck=STUCK
            )
            total += freed
        return total

    def ready(self, queue: Queue) -> Mapping[Priority, int]:
        return dict(zip(PRIORITIES, self._run("ready", queue=queue), strict=True))

    def keys(self, pipeline_id: str, cells: Sequence[int]) -> Sequence[str]:
        return [
            replies.key_text(key)
            for key in self._run("keys", pipeline=pipeline_id, cells=list(cells))
        ]

    def jobs(self, pipeline_id: str) -> JobStates:
        return replies.job_states_from(self._run("jobs", pipeline=pipeline_id))

    # -- workers

    def register(self, worker: WorkerRecord) -> None:
        ability = replies.Ability(worker.worker, worker.queues, worker.able)
        record = msgspec.json.encode(ability).decode()
        self._run("register", worker=worker.worker, record=record, life=WORKER_LIFE_S)

    def workers(self) -> Sequence[WorkerRecord]:
        found = self._run("workers", life=WORKER_LIFE_S)
        decode = msgspec.json.Decoder(replies.Ability).decode
        workers = ((float(seen), decode(record)) for seen, record in found)
        records = [WorkerRecord(each.worker, each.queues, each.able, at) for at, each in workers]
        return sorted(records, key=lambda record: record.worker)

    def report(self, lease: Lease, frames: int) -> None:
        self._run("report", repeat=False, **_of(lease), frames=frames)

    def frames_reported(self, pipeline_id: str) -> Mapping[int, int]:
        found = replies.texts(self._run("frames_reported", pipeline=pipeline_id))
        return {int(job): int(frames) for job, frames in found.items()}

    def alone(self, name: str, seconds: float, holder: str = "") -> bool:
        return bool(self._run("alone", repeat=False, name=name, seconds=seconds, holder=holder))

    # -- log

    @property
    def last_number(self) -> int:
        return int(self._run("last_number"))

    def story(self, pipeline_id: str, after: int = 0) -> Sequence[Change]:
        found = self._run("story", pipeline=pipeline_id, after=after)
        return [replies.change_from(pipeline_id, packed) for packed in found]

    def log(self, after: int, limit: int = 1000) -> Sequence[LogEntry]:
        return [replies.entry_from(*entry) for entry in self._run("log", after=after, limit=limit)]

    def read_up_to(self, reader: str, number: int) -> None:
        self._run("read_up_to", reader=reader, number=number)

    def readers(self) -> Mapping[str, int]:
        positions = replies.texts(self._run("readers"))
        return {reader: int(number) for reader, number in positions.items()}

    def trim(self, number: int) -> None:
        self._run("trim", number=number)

    def close(self) -> None:
        self._server.close()


def _of(lease: Lease) -> dict[str, Any]:
    return {"pipeline": lease.pipeline_id, "job": lease.job, "token": lease.token}


def _ended(lease: Lease) -> LeaseError:
    return LeaseError(
        f"pipeline {lease.pipeline_id}, job {lease.job}: lease {lease.token} has ended; "
        "the result is refused"
    )
