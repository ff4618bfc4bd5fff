"""The steps that transactions of the SQLite state store are made of.

A job has a row from the time that it is first ready; its state there is waiting, ready, leased,
delayed, dead or done.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import msgspec

from application.ports import Artifact
from application.state import (
    ADMISSION,
    PRIORITIES,
    STORY_LENGTH,
    STUCK,
    Change,
    Lease,
    LogEntry,
    PipelineRecord,
    Progress,
)
from domain.grid import Cell, Follower, Queue
from domain.pipeline import FINISHED, DomainEvent, EventKind, PipelineState

URGENT = PRIORITIES.index("urgent")
_ADMISSIBLE = """
    SELECT p.id, p.rank, p.owner FROM pipelines p JOIN jobs j ON j.pipeline = p.id
    WHERE p.state = 'queued' AND j.job = -1 AND j.state = 'ready' AND p.rank <= ?1
    AND (SELECT count(*) FROM pipelines a WHERE a.active AND a.owner = p.owner) < ?2
    ORDER BY p.rank, p.submission
"""
_RUNNABLE = """
    SELECT p.id, p.rank, p.needs, (
        SELECT min(job) FROM jobs j WHERE j.pipeline = p.id AND j.state = 'ready' AND j.queue = ?
    ) AS first
    FROM pipelines p WHERE p.state = 'running' AND first IS NOT NULL
    ORDER BY p.rank, (
        SELECT count(*) FROM jobs j WHERE j.pipeline = p.id AND j.state = 'leased'
    ), p.admitted
"""


@dataclass(frozen=True)
class Transaction:
    """An open transaction, and the time that all of it happens at."""

    execute: Callable[..., sqlite3.Cursor]
    now: float

    def number(self, query: str, *values: object) -> int:
        return int(self.execute(query, values).fetchone()[0])

    def take_number(self) -> int:
        """The next token or log number."""
        return self.number("UPDATE counter SET value=value+1 RETURNING value")

    def append(self, pipeline_id: str, events: Sequence[DomainEvent]) -> None:
        for event in events:
            changes = event.kind is not EventKind.CELL_COMPLETED
            sequence, change, traceparent = self.execute(
                "UPDATE pipelines SET sequence=sequence+1, changes=changes+? WHERE id=? "
                "RETURNING sequence, changes, traceparent",
                (changes, pipeline_id),
            ).fetchone()
            told = (str(event.cell or ""), event.attempt, event.message, event.key)
            self.execute(
                "INSERT INTO log VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                (
                    *(self.take_number(), sequence, self.now, event.kind.value, pipeline_id),
                    *(*told, traceparent, change),
                ),
            )
            if changes:
                self._tell_story(pipeline_id, change, (self.now, event.kind.value, *told))

    def _tell_story(self, pipeline_id: str, change: int, told: Sequence[object]) -> None:
        query = "INSERT INTO stories VALUES (?,?,?,?,?,?,?,?)"
        self.execute(query, (pipeline_id, change, *told))
        query = "DELETE FROM stories WHERE pipeline=? AND change<=?"
        self.execute(query, (pipeline_id, change - STORY_LENGTH))

    def lift(self, number: int) -> None:
        above = ((number >> 32) + 1) << 32
        read = self.number("SELECT coalesce(max(number), 0) FROM readers")
        unread = self.execute("SELECT number FROM log WHERE number>? ORDER BY 1", (read,))
        numbers = [row[0] for row in unread]
        raised = self.execute("UPDATE counter SET value=?1 WHERE value<?1", (above,)).rowcount
        if raised or (numbers and numbers[0] <= number):
            for old in numbers:
                fresh = self.take_number()
                self.execute("UPDATE log SET number=? WHERE number=?", (fresh, old))

    # -- what is next

    def next_job(
        self, queue: Queue, able: Set[str], max_running: int, max_per_owner: int
    ) -> tuple[str, int] | None:
        """The pipeline and its job that come first; of equal priority an admission does."""
        admission = self._admissible(max_running, max_per_owner) if queue == "cpu" else None
        for pipeline_id, rank, needs, job in self.execute(_RUNNABLE, (queue,)):
            if admission and admission[1] <= rank:
                break
            if able >= set(msgspec.json.decode(needs).get(queue, ())):
                return pipeline_id, job
        return (admission[0], ADMISSION) if admission else None

    def _admissible(self, max_running: int, max_per_owner: int) -> tuple[str, int] | None:
        full = self.number("SELECT count(*) FROM pipelines WHERE active") >= max_running
        lowest = URGENT if full else len(PRIORITIES)
        row = self.execute(_ADMISSIBLE, (lowest, max_per_owner)).fetchone()
        return (row[0], row[1]) if row else None

    def admissible(self, max_running: int, max_per_owner: int) -> Iterator[int]:
        """The rank of each pipeline that could be admitted now, one after the other."""
        rows = self.execute("SELECT owner, count(*) FROM pipelines WHERE active GROUP BY owner")
        active: dict[str, int] = dict(rows.fetchall())
        for _, rank, owner in self.execute(_ADMISSIBLE, (len(PRIORITIES), max_per_owner)):
            if rank != URGENT and sum(active.values()) >= max_running:
                return
            if active.get(owner, 0) < max_per_owner:
                active[owner] = active.get(owner, 0) + 1
                yield rank

    # -- jobs

    def make_ready(self, pipeline_id: str, job: int, queue: Queue) -> bool:
        """Only a job that waits becomes ready; whether it did."""
        changed = self.execute(
            "INSERT INTO jobs (pipeline, job, queue, state) VALUES (?, ?, ?, 'ready') "
            "ON CONFLICT DO UPDATE SET state='ready', queue=excluded.queue WHERE state='waiting'",
            (pipeline_id, job, queue),
        ).rowcount
        return bool(changed)

    def follow(self, pipeline_id: str, followers: Sequence[Follower]) -> dict[Queue, int]:
        """Make those ready for which all that they wait for is done; how many, by queue."""
        query = "SELECT count(*) FROM jobs WHERE pipeline=? AND state='done' AND job>=? AND job<?"
        freed: Counter[Queue] = Counter()
        for follower in followers:
            number = follower.job.number
            if all(
                self.number(query, pipeline_id, first, first + count) == count
                for first, count in follower.spans
            ):
                freed[follower.queue] += self.make_ready(pipeline_id, number, follower.queue)
        return dict(+freed)

    def ready_now(self, pipeline_id: str, job: int) -> dict[Queue, int]:
        """The job's queue, if it is ready."""
        query = "SELECT queue FROM jobs WHERE pipeline=? AND job=? AND state='ready'"
        return {row[0]: 1 for row in self.execute(query, (pipeline_id, job))}

    def end_lease(self, lease: Lease, state: str) -> bool:
        """Put the leased job into `state`; False when the lease has ended before."""
        changed = self.execute(
            "UPDATE jobs SET state=?, until=NULL "
            "WHERE pipeline=? AND job=? AND token=? AND state='leased'",
            (state, lease.pipeline_id, lease.job, lease.token),
        ).rowcount
        if changed and lease.job == ADMISSION and state != "done":
            self.execute("UPDATE pipelines SET active=0 WHERE id=?", (lease.pipeline_id,))
        return bool(changed)

    def committed(self, lease: Lease) -> bool:
        """Whether the job was done under just this lease."""
        query = "SELECT 1 FROM jobs WHERE pipeline=? AND job=? AND committed=?"
        row = self.execute(query, (lease.pipeline_id, lease.job, lease.token)).fetchone()
        return row is not None

    def tell(self, lease: Lease) -> bool:
        """Note that the job is done; True the first time."""
        job = (lease.pipeline_id, lease.job)
        told = self.number("SELECT told FROM jobs WHERE pipeline=? AND job=?", *job)
        self.execute(
            "UPDATE jobs SET committed=?, told=1, failures=0, losses=0, error='' "
            "WHERE pipeline=? AND job=?",
            (lease.token, *job),
        )
        return not told

    def fail(
        self,
        pipeline_id: str,
        job: int,
        error: str,
        retry_in_s: float | None,
        events: Sequence[DomainEvent] = (),
        *,
        lost: bool = True,
    ) -> None:
        """Count the failure of a job that is no longer leased."""
        state = "dead" if retry_in_s is None else "delayed" if retry_in_s > 0 else "ready"
        until = self.now + (retry_in_s or 0) if state == "delayed" else None
        self.execute(
            "UPDATE jobs SET state=?, until=?, failures=failures+?, losses=losses+?, error=? "
            "WHERE pipeline=? AND job=?",
            (state, until, not lost, lost, error, pipeline_id, job),
        )
        if state == "dead":
            self.execute(
                "UPDATE pipelines SET error=? WHERE id=? AND error=''", (error, pipeline_id)
            )
            self.append(pipeline_id, events)
            self.settle(pipeline_id)

    # -- the pipeline's state

    def progress(self, pipeline_id: str, ready: Mapping[Queue, int] | None = None) -> Progress:
        row = self.execute("SELECT state FROM pipelines WHERE id=?", (pipeline_id,)).fetchone()
        return Progress(dict(ready or {}), PipelineState(row[0])) if row else Progress()

    def leave(self, pipeline_id: str, state: PipelineState, error: str = "") -> None:
        """Go to another state than running: nothing is leased, ready or delayed any more."""
        self.execute(
            "UPDATE pipelines SET state=?1, active=0, finished_at=?2, "
            "error=CASE ?3 WHEN '' THEN error ELSE ?3 END WHERE id=?4",
            (state.value, self.now if state in FINISHED else 0.0, error, pipeline_id),
        )
        self.execute(
            "UPDATE jobs SET state='waiting', until=NULL "
            "WHERE pipeline=? AND state IN ('ready', 'leased', 'delayed')",
            (pipeline_id,),
        )

    def forget_cells(self, pipeline_id: str) -> None:
        self.execute("DELETE FROM jobs WHERE pipeline=?", (pipeline_id,))
        self.execute("DELETE FROM keys WHERE pipeline=?", (pipeline_id,))
        self.execute("DELETE FROM stages WHERE pipeline=?", (pipeline_id,))

    def queue_again(self, pipeline_id: str, error: str) -> None:
        """Forget all troubles and wait for admission."""
        self.execute("UPDATE pipelines SET error=?, started_at=0 WHERE id=?", (error, pipeline_id))
        self.execute(
            "UPDATE jobs SET state='waiting', failures=0, losses=0, error='' "
            "WHERE pipeline=? AND (state<>'done' OR job=?)",
            (pipeline_id, ADMISSION),
        )
        self.execute("DELETE FROM stages WHERE pipeline=?", (pipeline_id,))
        self.make_ready(pipeline_id, ADMISSION, "cpu")

    def settle(self, pipeline_id: str) -> None:
        """Finish the pipeline when no job of it can run any more."""
        if self.execute(
            "SELECT 1 FROM jobs WHERE pipeline=? AND state IN ('ready', 'leased', 'delayed')",
            (pipeline_id,),
        ).fetchone():
            return
        left, error, attempt = self.execute(
            "SELECT jobs - (SELECT count(*) FROM jobs WHERE pipeline=?1 AND state='done' "
            "AND job>=0), error, attempt FROM pipelines WHERE id=?1",
            (pipeline_id,),
        ).fetchone()
        kind, state = EventKind.PIPELINE_COMPLETED, PipelineState.COMPLETED
        if left or error:
            kind, state, error = EventKind.PIPELINE_FAILED, PipelineState.FAILED, error or STUCK
        self.leave(pipeline_id, state, error)
        event = DomainEvent(kind, pipeline_id, attempt=attempt, message=error)
        self.append(pipeline_id, (event,))


def record_from(row: Sequence[Any]) -> PipelineRecord:
    """A row of the view records."""
    return PipelineRecord(
        *(row[0], row[1], PipelineState(row[2]), row[3], PRIORITIES[row[4]], row[5], row[6]),
        *(Artifact(row[7], row[8]) if row[7] else None, *row[9:13]),
    )


def entry_from(row: Sequence[Any]) -> LogEntry:
    """A whole row of the table log."""
    number, sequence, time, kind, pipeline_id, *told, traceparent, change = row
    return LogEntry(number, sequence, time, _event(kind, pipeline_id, *told), traceparent, change)


def change_from(row: Sequence[Any]) -> Change:
    """A whole row of the table stories."""
    pipeline_id, number, time, kind, *told = row
    return Change(number, time, _event(kind, pipeline_id, *told))


def _event(
    kind: str, pipeline_id: str, cell: str, attempt: int, message: str, key: str
) -> DomainEvent:
    where = Cell.parse(cell) if cell else None
    return DomainEvent(EventKind(kind), pipeline_id, where, attempt, message, key)
