"""The pipelines' state in one SQLite file: the adapter of the port `StateStore` for one machine.

Only one process may write the file; its threads share the store.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from application.ports import Artifact
from application.state import (
    ADMISSION,
    PRIORITIES,
    REOPEN_DELAY_S,
    REOPENED,
    WORKER_LIFE_S,
    Admission,
    Change,
    JobStates,
    Lease,
    LogEntry,
    PipelineRecord,
    Priority,
    Progress,
    Trouble,
    WorkerRecord,
)
from domain.errors import LeaseError, TransitionError
from domain.grid import Follower, Queue
from domain.pipeline import FINISHED, DomainEvent, PipelineState
from infrastructure.state.sqlite_file import StateFile
from infrastructure.state.sqlite_steps import Transaction, change_from, entry_from, record_from


class SQLiteStateStore:
    """State in the file at `path`; `clock` gives seconds and is what leases are measured by.

    At most `max_running` pipelines are admitted at once, urgent ones even above that, and
    `max_per_owner` of one owner.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.time,
        *,
        max_running: int = 8,
        max_per_owner: int = 8,
    ) -> None:
        self._caps = (max_running, max_per_owner)
        self._alone: dict[str, tuple[float, str]] = {}
        self._file = StateFile(path, clock)
        self._rows, self._transaction = self._file.rows, self._file.transaction
        self.begin(1)

    def begin(self, generation: int) -> None:
        with self._transaction() as within:
            within.execute(
                "INSERT INTO counter SELECT ? WHERE NOT EXISTS (SELECT 1 FROM counter)",
                (generation << 32,),
            )

    @property
    def generation(self) -> int:
        return self.last_number >> 32

    def lift(self, number: int) -> None:
        with self._transaction() as within:
            within.lift(number)

    # -- pipelines

    def submit(self, record: PipelineRecord, events: Sequence[DomainEvent]) -> PipelineRecord:
        plan = record.plan or Artifact("", 0)
        rank = PRIORITIES.index(record.priority)
        with self._transaction() as within:
            fresh = within.execute(
                "INSERT INTO pipelines (id, configuration, state, owner, rank, attempt, error, "
                "plan_sha256, plan_size, submitted_at, started_at, finished_at, traceparent) "
                "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING",
                (
                    *(record.pipeline_id, record.configuration, record.state.value, record.owner),
                    *(rank, record.attempt, record.error, plan.sha256, plan.size),
                    *(record.submitted_at or within.now, record.started_at),
                    *(record.finished_at, record.traceparent),
                ),
            ).rowcount
            if fresh:
                within.append(record.pipeline_id, events)
            if fresh and record.state == PipelineState.QUEUED:
                within.make_ready(record.pipeline_id, ADMISSION, "cpu")
        return self.pipeline(record.pipeline_id) or record

    def pipeline(self, pipeline_id: str) -> PipelineRecord | None:
        rows = self._rows("SELECT * FROM records WHERE id=?", pipeline_id)
        return record_from(rows[0]) if rows else None

    def pipelines(
        self,
        *,
        owner: str | None = None,
        state: PipelineState | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> Sequence[PipelineRecord]:
        rows = self._rows(
            "SELECT * FROM records WHERE owner=coalesce(?, owner) "
            "AND state=coalesce(?, state) ORDER BY submission DESC LIMIT ? OFFSET ?",
            *(owner, state.value if state else None, limit, offset),
        )
        return [record_from(row) for row in rows]

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
        with self._transaction() as within:
            row = within.execute("SELECT state FROM pipelines WHERE id=?", (pipeline_id,))
            now = (row.fetchone() or ("unknown",))[0]
            if now not in expected:
                raise TransitionError(f"pipeline {pipeline_id} is {now} and cannot become {state}")
            within.leave(pipeline_id, state, error)
            if attempt:
                query = "UPDATE pipelines SET attempt=? WHERE id=?"
                within.execute(query, (attempt, pipeline_id))
            if state == PipelineState.QUEUED:
                within.queue_again(pipeline_id, error)
            within.append(pipeline_id, events)

    def remove(self, pipeline_id: str) -> None:
        with self._transaction() as within:
            running = "SELECT count(*) FROM pipelines WHERE id=? AND state='running'"
            if within.number(running, pipeline_id):
                raise TransitionError(f"pipeline {pipeline_id} is running: cancel it first")
            within.execute("DELETE FROM pipelines WHERE id=?", (pipeline_id,))
            within.execute("DELETE FROM stories WHERE pipeline=?", (pipeline_id,))
            within.forget_cells(pipeline_id)

    def forget_cells(self, pipeline_id: str) -> None:
        with self._transaction() as within:
            if within.progress(pipeline_id).state in FINISHED:
                within.forget_cells(pipeline_id)

    # -- jobs

    def claim(
        self, queue: Queue, able: Collection[str], holder: str, seconds: float
    ) -> Lease | None:
        with self._transaction() as within:
            chosen = within.next_job(queue, frozenset(able), *self._caps)
            if chosen is None:
                return None
            token = within.take_number()
            failures, losses = within.execute(
                "UPDATE jobs SET state='leased', token=?, holder=?, until=?, frames=0 "
                "WHERE pipeline=? AND job=? RETURNING failures, losses",
                (token, holder, within.now + seconds, *chosen),
            ).fetchone()
            within.execute("UPDATE pipelines SET active=1 WHERE id=?", chosen[:1])
        return Lease(*chosen, token, failures, losses)

    def admit(self, lease: Lease, admission: Admission, events: Sequence[DomainEvent]) -> None:
        with self._transaction() as within:
            if not self._finish_job(within, lease):
                return
            within.tell(lease)
            needs = msgspec.json.encode(admission.needs).decode()
            plan, of_pipeline = admission.plan, (lease.pipeline_id,)
            within.execute(
                "UPDATE pipelines SET state='running', plan_sha256=?, plan_size=?, jobs=?, "
                "needs=?, started_at=?, admitted=? WHERE id=?",
                (
                    *(plan.sha256, plan.size, admission.jobs, needs, within.now),
                    *(within.take_number(), lease.pipeline_id),
                ),
            )
            if not admission.keep_done:
                within.execute("DELETE FROM jobs WHERE pipeline=? AND job>=0", of_pipeline)
                within.execute("DELETE FROM keys WHERE pipeline=?", of_pipeline)
            for job, queue in admission.ready:
                within.make_ready(lease.pipeline_id, job, queue)
            within.append(lease.pipeline_id, events)
            within.settle(lease.pipeline_id)

    def started(self, pipeline_id: str, events: Sequence[DomainEvent]) -> None:
        running = "SELECT 1 FROM pipelines WHERE id=? AND state='running'"
        with self._transaction() as within:
            if not within.execute(running, (pipeline_id,)).fetchone():
                return
            for event in events:
                stage = (pipeline_id, event.cell.stage if event.cell else "")
                if within.execute("INSERT OR IGNORE INTO stages VALUES (?, ?)", stage).rowcount:
                    within.append(pipeline_id, (event,))

    def renew(self, lease: Lease, seconds: float) -> bool:
        with self._transaction() as within:
            changed = within.execute(
                "UPDATE jobs SET until=? WHERE pipeline=? AND job=? AND token=? AND state='leased'",
                (within.now + seconds, lease.pipeline_id, lease.job, lease.token),
            ).rowcount
        return bool(changed)

    def give_back(self, lease: Lease) -> None:
        with self._transaction() as within:
            within.end_lease(lease, "ready")

    def fail(
        self,
        lease: Lease,
        error: str,
        retry_in_s: float | None,
        events: Sequence[DomainEvent] = (),
        *,
        lost: bool = False,
    ) -> Progress:
        pipeline_id, job = lease.pipeline_id, lease.job
        with self._transaction() as within:
            if not within.end_lease(lease, "ready"):
                return within.progress(pipeline_id)
            within.fail(pipeline_id, job, error, retry_in_s, events, lost=lost)
            return within.progress(pipeline_id, within.ready_now(pipeline_id, job))

    def commit(
        self,
        lease: Lease,
        keys: Mapping[int, str],
        followers: Sequence[Follower],
        events: Sequence[DomainEvent],
    ) -> Progress:
        with self._transaction() as within:
            if not self._finish_job(within, lease):
                return within.progress(lease.pipeline_id)
            for cell, key in keys.items():
                query = "INSERT OR REPLACE INTO keys VALUES (?, ?, ?)"
                within.execute(query, (lease.pipeline_id, cell, key))
            ready = within.follow(lease.pipeline_id, followers)
            if within.tell(lease):
                within.append(lease.pipeline_id, events)
            within.settle(lease.pipeline_id)
            return within.progress(lease.pipeline_id, ready)

    def _finish_job(self, within: Transaction, lease: Lease) -> bool:
        """Whether the leased job is done now and was not before, under the same lease."""
        if within.end_lease(lease, "done"):
            return True
        if within.committed(lease):
            return False
        raise LeaseError(
            f"pipeline {lease.pipeline_id}, job {lease.job}: lease {lease.token} has ended; "
            "the result is refused"
        )

    def reopen(self, lease: Lease, lost: int, queue: Queue) -> None:
        with self._transaction() as within:
            query = "SELECT 1 FROM jobs WHERE pipeline=? AND job=? AND state='dead'"
            dead = within.execute(query, (lease.pipeline_id, lost)).fetchone() is not None
            if not within.end_lease(lease, "waiting" if dead else "delayed"):
                return
            if not dead:
                within.execute(
                    "UPDATE jobs SET until=?, error=? WHERE pipeline=? AND job=?",
                    (within.now + REOPEN_DELAY_S, REOPENED, lease.pipeline_id, lease.job),
                )
            was_done = within.execute(
                "UPDATE jobs SET state='waiting' WHERE pipeline=? AND job=? AND state='done'",
                (lease.pipeline_id, lost),
            ).rowcount
            if was_done:
                within.make_ready(lease.pipeline_id, lost, queue)
            within.settle(lease.pipeline_id)

    def abandon(self) -> None:
        """Give every job back: whoever held one used this file and lives no more."""
        with self._transaction() as within:
            query = "SELECT pipeline, job, token FROM jobs WHERE state='leased'"
            leases = [Lease(*row) for row in within.execute(query).fetchall()]
        for lease in leases:
            self.give_back(lease)

    def expire(self, max_losses: int, error: str) -> int:
        freed = 0
        with self._transaction() as within:
            leased, delayed = (
                within.execute(
                    "SELECT pipeline, job, token, losses FROM jobs "
                    "WHERE state=? AND until<=? ORDER BY until, pipeline, job",
                    (state, within.now),
                ).fetchall()
                for state in ("leased", "delayed")
            )
            for pipeline_id, job, token, losses in leased:
                dead = losses + 1 >= max_losses
                within.end_lease(Lease(pipeline_id, job, token), "ready")
                within.fail(pipeline_id, job, error, None if dead else 0)
                freed += not dead
            for pipeline_id, job, _, _ in delayed:
                query = "UPDATE jobs SET state='ready', until=NULL WHERE pipeline=? AND job=?"
                within.execute(query, (pipeline_id, job))
        return freed + len(delayed)

    def ready(self, queue: Queue) -> Mapping[Priority, int]:
        counts = dict.fromkeys(PRIORITIES, 0)
        with self._transaction() as within:
            rows = within.execute(
                "SELECT p.rank, count(*) FROM pipelines p JOIN jobs j ON j.pipeline=p.id "
                "AND j.state='ready' WHERE p.state='running' AND j.queue=? GROUP BY p.rank",
                (queue,),
            )
            for rank, count in rows:
                counts[PRIORITIES[rank]] += count
            for rank in within.admissible(*self._caps) if queue == "cpu" else ():
                counts[PRIORITIES[rank]] += 1
        return counts

    def keys(self, pipeline_id: str, cells: Sequence[int]) -> Sequence[str]:
        query = "SELECT key FROM keys WHERE pipeline=? AND cell=?"
        with self._transaction() as within:
            rows = [within.execute(query, (pipeline_id, cell)).fetchone() for cell in cells]
        return [row[0] if row else "" for row in rows]

    def jobs(self, pipeline_id: str) -> JobStates:
        rows = self._rows(
            "SELECT job, state, holder, failures + losses, error FROM jobs "
            "WHERE pipeline=? ORDER BY job",
            pipeline_id,
        )
        return JobStates(
            done=frozenset(row[0] for row in rows if row[1] == "done" and row[0] != ADMISSION),
            ready=frozenset(row[0] for row in rows if row[1] == "ready"),
            leased={row[0]: row[2] for row in rows if row[1] == "leased"},
            troubles=tuple(
                Trouble(row[0], row[3], row[4], dead=row[1] == "dead") for row in rows if row[4]
            ),
        )

    # -- workers

    def register(self, worker: WorkerRecord) -> None:
        with self._transaction() as within:
            record = msgspec.structs.replace(worker, seen_at=within.now)
            within.execute("DELETE FROM workers WHERE seen_at<=?", (within.now - WORKER_LIFE_S,))
            within.execute(
                "INSERT OR REPLACE INTO workers VALUES (?, ?, ?)",
                (worker.worker, within.now, msgspec.json.encode(record).decode()),
            )

    def workers(self) -> Sequence[WorkerRecord]:
        query = "SELECT record FROM workers WHERE seen_at>? ORDER BY worker"
        with self._transaction() as within:
            rows = within.execute(query, (within.now - WORKER_LIFE_S,)).fetchall()
        return [msgspec.json.decode(row[0], type=WorkerRecord) for row in rows]

    def report(self, lease: Lease, frames: int) -> None:
        query = "UPDATE jobs SET frames=? WHERE pipeline=? AND job=? AND token=? AND state='leased'"
        with self._transaction() as within:
            within.execute(query, (frames, lease.pipeline_id, lease.job, lease.token))

    def frames_reported(self, pipeline_id: str) -> Mapping[int, int]:
        query = "SELECT job, frames FROM jobs WHERE pipeline=? AND state='leased' AND frames>0"
        return dict(self._rows(query, pipeline_id))

    def alone(self, name: str, seconds: float, holder: str = "") -> bool:
        with self._transaction() as within:  # its threads alone use the file: no need to store it
            until, by = self._alone.get(name, (0.0, ""))
            if until > within.now and (not holder or holder != by):
                return False
            self._alone[name] = (within.now + seconds, holder)
        return True

    # -- log

    @property
    def last_number(self) -> int:
        return int(self._rows("SELECT value FROM counter")[0][0])

    def story(self, pipeline_id: str, after: int = 0) -> Sequence[Change]:
        query = "SELECT * FROM stories WHERE pipeline=? AND change>? ORDER BY change"
        return [change_from(row) for row in self._rows(query, pipeline_id, after)]

    def log(self, after: int, limit: int = 1000) -> Sequence[LogEntry]:
        query = "SELECT * FROM log WHERE number>? ORDER BY number LIMIT ?"
        return [entry_from(row) for row in self._rows(query, after, limit)]

    def read_up_to(self, reader: str, number: int) -> None:
        with self._transaction() as within:
            within.execute(
                "INSERT INTO readers VALUES (?, ?) ON CONFLICT (reader) DO UPDATE "
                "SET number=max(number, excluded.number)",
                (reader, number),
            )

    def readers(self) -> Mapping[str, int]:
        return dict(self._rows("SELECT reader, number FROM readers"))

    def trim(self, number: int) -> None:
        with self._transaction() as within:
            within.execute("DELETE FROM log WHERE number<=?", (number,))

    def close(self) -> None:
        self._file.close()
