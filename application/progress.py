"""How far a pipeline is, as its watchers are told: the messages that its story and its jobs make.

A message about a state change has the change's number in the pipeline's story; those numbers have
no gap. Percentages take none, and of them only the newest counts. Nothing is read or sent here.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import msgspec

from application.state import Change, Lease, PipelineRecord, StateStore
from domain.errors import ResourceError
from domain.grid import END, Cell, Plan
from domain.pipeline import FINISHED, EventKind, PipelineState

_log = logging.getLogger(__name__)
REPORT_EVERY_S = 1.0
_REPORT_AGAIN_S = 10.0
_SMALLEST_STEP = 0.001
_TYPES: Mapping[EventKind, str] = {
    EventKind.PIPELINE_SUBMITTED: "pipeline_queued",
    EventKind.PIPELINE_RETRIED: "pipeline_queued",
    EventKind.PIPELINE_STARTED: "pipeline_started",
    EventKind.STAGE_STARTED: "stage_started",
    EventKind.STAGE_COMPLETED: "stage_completed",
    EventKind.STAGE_FAILED: "stage_failed",
    EventKind.PIPELINE_COMPLETED: "pipeline_completed",
    EventKind.PIPELINE_FAILED: "pipeline_failed",
    EventKind.PIPELINE_CANCELLED: "pipeline_cancelled",
}
_STATES: Mapping[EventKind, PipelineState] = {
    EventKind.PIPELINE_SUBMITTED: PipelineState.QUEUED,
    EventKind.PIPELINE_RETRIED: PipelineState.QUEUED,
    EventKind.PIPELINE_STARTED: PipelineState.RUNNING,
    EventKind.PIPELINE_COMPLETED: PipelineState.COMPLETED,
    EventKind.PIPELINE_FAILED: PipelineState.FAILED,
    EventKind.PIPELINE_CANCELLED: PipelineState.CANCELLED,
}


class FrameReports:
    """Tells the state now and then how many frames of a leased pass are through.

    A report that does not arrive costs the work nothing: the next one comes a while later.
    """

    def __init__(self, state: StateStore, lease: Lease) -> None:
        self._state = state
        self._lease = lease
        self._frames = 0
        self._next = 0.0

    def add(self, count: int) -> None:
        """`count` more frames are through."""
        self._frames += count
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + REPORT_EVERY_S
        try:
            self._state.report(self._lease, self._frames)
        except ResourceError as error:
            self._next = now + _REPORT_AGAIN_S
            _log.debug("progress not reported: %s", error)


class Message(msgspec.Struct, frozen=True):
    """What watchers are told, as JSON; `share_done` is from 0 to 1, `time` ISO 8601 in UTC."""

    type: str
    pipeline_id: str | None
    sequence: int
    time: str
    stage: str | None = None
    share_done: float | None = None
    message: str = ""


class StageSnapshot(msgspec.Struct, frozen=True):
    """`state` is waiting, running, completed or failed; `message` says why it failed."""

    stage: str
    state: str
    share_done: float
    message: str = ""


class Snapshot(Message, frozen=True, kw_only=True):
    """A pipeline after the change `sequence`; the change that is told next is `next`."""

    next: int
    state: PipelineState
    stages: Sequence[StageSnapshot]


@dataclass(frozen=True)
class Told:
    """A message on its way. Of those with an equal `slot` only the newest counts.

    `place` is the number of the last change that is known after it; None for what takes no number.
    """

    text: str
    slot: tuple[object, ...]
    place: int | None = None


@dataclass(frozen=True)
class Look:
    """What was read of a pipeline: its changes after some number, then where its jobs stand."""

    record: PipelineRecord
    story: Sequence[Change] = ()
    done: AbstractSet[int] = frozenset()
    frames: Mapping[int, int] = field(default_factory=dict)
    plan: Plan | None = None


@dataclass
class _Stage:
    started: bool = False
    completed: bool = False
    """Its completion was told in this attempt."""
    error: str = ""
    told: float = 0.0
    """The share that watchers know."""


@dataclass(frozen=True)
class _Weights:
    """What the jobs of a plan count for: each cell for the frames of its segment."""

    plan: Plan

    @cached_property
    def frames(self) -> Mapping[int, int]:
        """Of each segment."""
        return {segment.number: segment.end - segment.first for segment in self.plan.segments}

    @cached_property
    def ends(self) -> Mapping[str, int]:
        """The job of each stage's END cell."""
        return {name: self.plan.job_of[Cell(name, END)].number for name in self.plan.by_name}

    def of(self, job: int) -> Mapping[str, int]:
        """The frames that the job means to each of its stages."""
        cells = self.plan.jobs[job].cells
        return {cell.stage: self.frames[cell.segment] for cell in cells if cell.segment != END}


class PipelineProgress:
    """One pipeline, brought forward change by change; how far its stages are comes from its jobs.

    Those may be read later than the story: what a stage has left to do is then never too much.
    """

    def __init__(self, pipeline_id: str) -> None:
        self.pipeline_id = pipeline_id
        self.state = PipelineState.QUEUED
        self.sequence = 0
        self.story: list[Change] = []
        self._error = ""
        self._stages: dict[str, _Stage] = {}
        self._weights: _Weights | None = None
        self._done: set[int] = set()
        self._frames_done: Counter[str] = Counter()
        self._frames: Mapping[int, int] = {}

    @classmethod
    def of(cls, look: Look) -> "PipelineProgress":
        """The pipeline as it was found; `look` has its whole story."""
        progress = cls(look.record.pipeline_id)
        progress.state = look.record.state
        progress._error = look.record.error
        for change in look.story:
            progress.take(change)
        progress.see(look)
        return progress

    @property
    def finished(self) -> bool:
        return self.state in FINISHED

    def take(self, change: Change) -> Told:
        """Go on by the next change."""
        self.story = [*self.story[-999:], change]
        self.sequence = change.number
        event = change.event
        self.state = _STATES.get(event.kind, self.state)
        if event.cell is not None:
            self._take_stage(event.kind, self._stage(event.cell.stage), event.message)
        elif event.kind is EventKind.PIPELINE_STARTED:
            self._stages = {name: _Stage() for name in self._stages}
        else:
            self._error = event.message
        return self._told(change)

    def _take_stage(self, kind: EventKind, stage: _Stage, message: str) -> None:
        if kind is EventKind.STAGE_FAILED:
            stage.error = message
        elif kind is EventKind.STAGE_COMPLETED:
            stage.completed, stage.told = True, 1.0
        else:
            stage.started = True

    def see(self, look: Look) -> None:
        """Take in where the jobs stand."""
        if look.plan is not None and (self._weights is None or self._weights.plan != look.plan):
            self._weights = _Weights(look.plan)
            self._stages = {name: self._stage(name) for name in look.plan.by_name}
            self._done, self._frames_done = set(), Counter()
        self._frames = look.frames
        for job in look.done - self._done:
            self._count(job, 1)
        for job in self._done - look.done:
            self._count(job, -1)
        self._done = set(look.done)

    def cell_done(self, cell: Cell) -> None:
        """A job was committed, and this was one of its cells."""
        job = self._weights.plan.job_of.get(cell) if self._weights else None
        if job is not None and job.number not in self._done:
            self._count(job.number, 1)
            self._done.add(job.number)

    def _count(self, job: int, sign: int) -> None:
        if self._weights:
            for stage, frames in self._weights.of(job).items():
                self._frames_done[stage] += sign * frames

    # -- messages

    def opening(self, after: int | None = None) -> list[Told]:
        """What a new watcher is told: where the pipeline is, then what it missed `after`.

        The change that finished the pipeline is told in any case.
        """
        first = self.story[0].number if self.story else self.sequence + 1
        known = self.sequence if after is None or not first - 1 <= after <= self.sequence else after
        if self.finished and self.story:
            known = min(known, self.sequence - 1)
        missed = [self._told(change) for change in self.story if change.number > known]
        return [self._snapshot(known), *missed]

    def percentages(self) -> Iterator[Told]:
        """What has changed of the shares since they were told."""
        if self.state is not PipelineState.RUNNING:
            return
        for name, stage in self._stages.items():
            share = self._share(name)
            if stage.started and abs(share - stage.told) >= _SMALLEST_STEP:
                stage.told = share
                yield self._percentage(name, share)

    def _percentage(self, name: str, share: float) -> Told:
        text = self._text("stage_progress", time.time(), name, share, self._frames_text(name))
        return Told(text, (self.pipeline_id, name))

    def _told(self, change: Change) -> Told:
        kind, cell = change.event.kind, change.event.cell
        name = cell.stage if cell else None
        text = change.event.message or _words(change)
        share = self._share(name) if name else self._share_of_all()
        told = self._text(_TYPES[kind], change.time, name, share, text, change.number)
        return Told(told, (self.pipeline_id, change.number), change.number)

    def _text(
        self,
        kind: str,
        when: float,
        stage: str | None,
        share: float,
        text: str,
        sequence: int | None = None,
    ) -> str:
        number = self.sequence if sequence is None else sequence
        return encoded(Message(kind, self.pipeline_id, number, moment(when), stage, share, text))

    def _snapshot(self, known: int) -> Told:
        snapshot = Snapshot(
            type="snapshot",
            pipeline_id=self.pipeline_id,
            sequence=self.sequence,
            time=moment(time.time()),
            share_done=self._share_of_all(),
            message=self._error or str(self.state),
            next=known + 1,
            state=self.state,
            stages=[
                StageSnapshot(name, self._state_of(name), self._share(name), stage.error)
                for name, stage in self._stages.items()
            ],
        )
        return Told(encoded(snapshot), (self.pipeline_id, "snapshot"), known)

    # -- shares

    def _stage(self, name: str) -> _Stage:
        return self._stages.setdefault(name, _Stage())

    def _state_of(self, name: str) -> str:
        stage = self._stages[name]
        if self._is_complete(name):
            return "completed"
        if stage.error:
            return "failed"
        return "running" if stage.started else "waiting"

    def _is_complete(self, name: str) -> bool:
        ended = self._weights is not None and self._weights.ends.get(name) in self._done
        return ended or self._stages[name].completed or self.state is PipelineState.COMPLETED

    def _share(self, name: str) -> float:
        if self._is_complete(name):
            return 1.0
        done, total = self._frames_of(name)
        return round(done / total, 3) if total else 0.0

    def _frames_of(self, name: str) -> tuple[int, int]:
        """Frames that the stage is through with, those of passes under way too, and all."""
        stage = self._weights.plan.by_name.get(name) if self._weights else None
        if self._weights is None or stage is None or stage.kind == "whole":
            return 0, 0
        under_way = (
            min(frames, self._weights.of(job).get(name, 0))
            for job, frames in self._frames.items()
            if job not in self._done
        )
        return self._frames_done[name] + sum(under_way), self._weights.plan.frame_count

    def _frames_text(self, name: str) -> str:
        done, total = self._frames_of(name)
        return f"{done} of {total} frames" if total else ""

    def _share_of_all(self) -> float:
        """Cells that are done of all."""
        if self.state is PipelineState.COMPLETED:
            return 1.0
        if self._weights is None:
            return 0.0
        jobs = self._weights.plan.jobs
        done = sum(len(jobs[job].cells) for job in self._done)
        return round(done / len(self._weights.plan.cells), 3)


def heartbeat(pipeline_id: str | None, sequence: int) -> Told:
    """Told when there is nothing else to tell, so that silence means a broken connection."""
    message = Message("heartbeat", pipeline_id, sequence, moment(time.time()))
    return Told(encoded(message), ("heartbeat",))


def encoded(message: Message) -> str:
    return msgspec.json.encode(message).decode()


def moment(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _words(change: Change) -> str:
    """A message where the event has none."""
    event = change.event
    if event.kind is EventKind.PIPELINE_RETRIED:
        return f"queued again, attempt {event.attempt + 1}"
    what, _, happened = _TYPES[event.kind].partition("_")
    return f"{event.cell.stage if event.cell else what} {happened}"
