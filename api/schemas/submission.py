"""What is sent to have a match analysed, and what is answered."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from application.state import PipelineRecord, Priority
from domain.configuration import ProcessingConfiguration
from domain.pipeline import PipelineState

_ID = "3f0c9a5e7f214d0b9a4c8f1c2b6d7e80"
_PATH = {"type": "string", "minLength": 1, "maxLength": 4096}
EXAMPLE: dict[str, Any] = {
    "video_path": "cup/final.mp4",
    "model_version": "v1",
    "batch_size": 8,
    "gpu_enabled": False,
    "checkpoint_enabled": True,
    "priority": "normal",
    "stage_configs": {
        "player_detection": {"confidence_threshold": 0.7, "nms_threshold": 0.4},
        "ball_tracking": {"tracking_method": "kalman", "max_missing_frames": 10},
    },
}
TWO_HALVES: dict[str, Any] = {
    "video_path": ["cup/first.mp4", "cup/second.mp4"],
    "priority": "urgent",
    "stages": ["video_decoding", "player_detection", "export"],
}
Path = Annotated[str, Field(min_length=1, max_length=4096)]
VideoPath = Annotated[
    tuple[Path, ...],
    Field(
        min_length=1,
        max_length=64,
        description="a file or folder below one of the operator's folders, several in the order of "
        "play, or what an upload answered",
    ),
    WithJsonSchema(
        {"anyOf": [_PATH, {"type": "array", "items": _PATH, "minItems": 1, "maxItems": 64}]}
    ),
]


class Submission(ProcessingConfiguration):
    """A match, how it is analysed (docs/options.md), and how urgent it is."""

    video_path: VideoPath
    priority: Priority = Field("normal", description="who comes first when workers are busy")

    def configuration(self, paths: tuple[str, ...]) -> ProcessingConfiguration:
        """The configuration alone, with the real `paths`."""
        values = self.model_dump(exclude={"priority"}, exclude_unset=True)
        return ProcessingConfiguration.parse({**values, "video_path": paths})


class Links(BaseModel):
    """Where to go on; paths of this service."""

    status: str
    results: str
    cancel: str
    retry: str

    @classmethod
    def of(cls, pipeline_id: str) -> "Links":
        base = f"/api/v1/pipeline/{pipeline_id}"
        return cls(
            status=f"{base}/status",
            results=f"{base}/results",
            cancel=f"{base}/cancel",
            retry=f"{base}/retry",
        )


QUEUED: dict[str, Any] = {
    "pipeline_id": _ID,
    "video_path": ["/videos/derby.mp4"],
    "state": "queued",
    "owner": "",
    "priority": "normal",
    "attempt": 0,
    "error": "",
    "submitted_at": "2026-03-01T14:00:00Z",
    "started_at": None,
    "finished_at": None,
    "links": Links.of(_ID).model_dump(),
}


class Pipeline(BaseModel):
    """A match as the service keeps it. Times are null where they are still to come."""

    model_config = ConfigDict(json_schema_extra={"examples": [QUEUED]})

    pipeline_id: str
    video_path: list[str] = Field(description="the input, as it was submitted")
    state: PipelineState
    owner: str = Field(description="the client that submitted it; empty where keys are not used")
    priority: Priority
    attempt: int = Field(description="how often it was retried")
    error: str = Field(description="the first error that ended a part of it for good")
    submitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    links: Links

    @classmethod
    def of(cls, record: PipelineRecord) -> "Pipeline":
        return cls(
            pipeline_id=record.pipeline_id,
            video_path=json.loads(record.configuration).get("video_path", []),
            state=record.state,
            owner=record.owner,
            priority=record.priority,
            attempt=record.attempt,
            error=record.error,
            submitted_at=moment(record.submitted_at),
            started_at=moment(record.started_at),
            finished_at=moment(record.finished_at),
            links=Links.of(record.pipeline_id),
        )


class Pipelines(BaseModel):
    """A page of the matches, the latest submission first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"pipelines": [QUEUED], "next": None}]}
    )

    pipelines: list[Pipeline]
    next: str | None = Field(description="the path of the next page; null on the last one")


class Uploaded(BaseModel):
    """An uploaded file; give `video_path` when the match is submitted."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "video_path": f"upload://{_ID}/final.mp4",
                    "size": 734003200,
                    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                }
            ]
        }
    )

    video_path: str
    size: int
    sha256: str


def moment(seconds: float | None) -> datetime | None:
    """Unix seconds as a time in UTC; None where it has not come."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
