"""How far a match is: stage by stage and, where it is asked for, segment by segment."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.submission import QUEUED, Pipeline, moment
from application.queries import CellState, CellStatus, Count, PipelineStatus, StageStatus

_CELL: dict[str, Any] = {
    "segment": 0,
    "start_s": 0.0,
    "end_s": 20.0,
    "state": "done",
    "attempts": 1,
    "error": "",
    "worker": "",
    "seconds": 11.2,
    "made_at": "2026-03-01T14:00:21Z",
}
_STAGE: dict[str, Any] = {
    "stage": "player_detection",
    "version": 1,
    "state": "running",
    "share_done": 0.5,
    "cells": {"done": 1, "total": 3},
    "frames": {"done": 500, "total": 1000},
    "failures": 0,
    "error": "",
    "seconds": 11.2,
    "segments": [_CELL],
}


class Counted(BaseModel):
    """How many of a kind are done."""

    done: int
    total: int

    @classmethod
    def of(cls, count: Count) -> "Counted":
        return cls(done=count.done, total=count.total)


class Cell(BaseModel):
    """A stage on one segment of the match, or its last cell, which has no segment."""

    segment: int | None
    start_s: float | None
    end_s: float | None
    state: CellState
    attempts: int = Field(description="failed tries, and the one that runs or succeeded")
    error: str = Field(description="why the last try failed")
    worker: str = Field(description="who is at it now")
    seconds: float | None = Field(description="how long the run that made it took")
    made_at: datetime | None = Field(description="when it was made, perhaps for an earlier match")

    @classmethod
    def of(cls, cell: CellStatus) -> "Cell":
        return cls(**{**vars(cell), "made_at": moment(cell.made_at)})


class Stage(BaseModel):
    """A stage over the whole match."""

    stage: str
    version: int
    state: CellState
    share_done: float = Field(ge=0, le=1, description="frames finished over frames of the match")
    cells: Counted
    frames: Counted
    failures: int = Field(description="tries that failed, over all its cells")
    error: str = Field(description="why a cell of it was given up")
    seconds: float | None = Field(
        description="the sum of its cells' times; null without `segments`"
    )
    segments: list[Cell]

    @classmethod
    def of(cls, stage: StageStatus) -> "Stage":
        given = {
            "share_done": stage.share_done,
            "cells": Counted.of(stage.cells),
            "frames": Counted.of(stage.frames),
            "segments": [Cell.of(cell) for cell in stage.segments],
        }
        return cls(**{**vars(stage), **given})


class Planning(BaseModel):
    """The job that opens the input and plans the match."""

    state: CellState
    attempts: int
    error: str
    worker: str


class Status(Pipeline):
    """A match and how far it is. It has no stages before it is planned."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **QUEUED,
                    "state": "running",
                    "started_at": "2026-03-01T14:00:05Z",
                    "share_done": 0.333,
                    "cells": {"done": 1, "total": 3},
                    "frames": {"done": 500, "total": 1000},
                    "planning": {"state": "done", "attempts": 1, "error": "", "worker": ""},
                    "stages": [_STAGE],
                }
            ]
        }
    )

    share_done: float = Field(ge=0, le=1, description="mean of its stages' shares")
    cells: Counted
    frames: Counted = Field(description="frames that went through every stage")
    planning: Planning
    stages: list[Stage]

    @classmethod
    def of_status(cls, status: PipelineStatus) -> "Status":
        return cls(
            **vars(Pipeline.of(status.record)),
            share_done=status.share_done,
            cells=Counted.of(status.cells),
            frames=Counted.of(status.frames),
            planning=Planning(**vars(status.planning)),
            stages=[Stage.of(stage) for stage in status.stages],
        )
