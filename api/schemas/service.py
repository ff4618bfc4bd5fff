"""How the service itself is: health and version."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Alive(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "alive"}]})

    status: Literal["alive"] = "alive"


class DependencyHealth(BaseModel):
    """One thing that the service needs."""

    name: str
    ok: bool
    required: bool = Field(description="whether the service is not ready without it")
    detail: str
    milliseconds: float


class Health(BaseModel):
    """`ready`: all is there; `degraded`: it answers, work may stand still; else `failing`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "degraded",
                    "dependencies": [
                        {
                            "name": "redis",
                            "ok": True,
                            "required": True,
                            "detail": "answers",
                            "milliseconds": 1.5,
                        },
                        {
                            "name": "workers gpu",
                            "ok": False,
                            "required": False,
                            "detail": "no live worker: start one",
                            "milliseconds": 0.5,
                        },
                    ],
                }
            ]
        }
    )

    status: Literal["ready", "degraded", "failing"]
    dependencies: list[DependencyHealth]


class Version(BaseModel):
    """What runs here. Backends are those that live workers have."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "version": "0.1.0",
                    "python": "3.11.9",
                    "stages": {"video_decoding": 1, "player_detection": 1},
                    "models": {
                        "detector.onnx": "9f86d081884c7d659a2feaa0c55ad015"
                        "a3bf4f1b2b0b822cd15d6c15b0f00a08"
                    },
                    "backends": ["openvino:bf16", "openvino:f32"],
                }
            ]
        }
    )

    version: str
    python: str
    stages: dict[str, int]
    models: dict[str, str] = Field(description="the SHA-256 of each shipped model's file")
    backends: list[str] = Field(description="backend and precision, as live workers have them")
