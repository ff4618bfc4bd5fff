"""Submitting a match."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Body, Header, Response

from api.problems import refused
from api.routes.access import Submitting
from api.routes.parts import Parts, TheParts
from api.routes.uploads import SCHEME, uploaded_path
from api.schemas.documented import problems
from api.schemas.submission import EXAMPLE, TWO_HALVES, Links, Pipeline, Submission
from domain.errors import ConfigurationError, InputError

router = APIRouter(prefix="/api/v1", tags=["submit"])
_EXAMPLES = {
    "a match": {"summary": "One file", "value": EXAMPLE},
    "two halves": {"summary": "Two files, some stages, urgent", "value": TWO_HALVES},
}
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        pattern=r"^[\x21-\x7e]*$",
        description="the same key again gives the same match again",
    ),
]


@router.post(
    "/process-video",
    status_code=202,
    summary="Have a match analysed",
    responses=problems(400, 413, 422, 503)
    | {
        202: {
            "description": "Kept, and queued.",
            "headers": {
                "Location": {"description": "its status", "schema": {"type": "string"}},
            },
        }
    },
)
def process_video(
    submission: Annotated[Submission, Body(openapi_examples=_EXAMPLES)],
    response: Response,
    parts: TheParts,
    caller: Submitting,
    key: Key = "",
) -> Pipeline:
    """Queue a match. What is answered has been kept: no failure of a server loses it."""
    _refuse_unknown_stages(submission)
    _refuse_foreign_models(submission)
    paths = tuple(str(_real_path(path, parts)) for path in submission.video_path)
    record = parts.service.submit(
        submission.configuration(paths),
        owner=caller.owner,
        priority=submission.priority,
        idempotency_key=key,
    )
    response.headers["Location"] = Links.of(record.pipeline_id).status
    return Pipeline.of(record)


def _real_path(path: str, parts: Parts) -> Path:
    """Raises ProblemError where it is not one of an allowed file or folder."""
    from infrastructure.settings import allowed_path

    try:
        if path.startswith(SCHEME):
            return uploaded_path(path, parts.uploads)
        return allowed_path(path, parts.video_roots)
    except InputError as error:
        raise refused("video_path", path, error) from error


def _refuse_unknown_stages(submission: Submission) -> None:
    """Raises ProblemError for a stage that nobody has."""
    from infrastructure.catalogue import known

    for field, names in (
        ("stages", submission.stages),
        ("stage_configs", submission.stage_configs.model_extra or {}),
    ):
        for name in set(names) - set(known()):
            text = f"{field}: unknown stage {name[:200]}; legal are {', '.join(known())}"
            raise refused(field, name, ConfigurationError(text))


def _refuse_foreign_models(submission: Submission) -> None:
    """Raises ProblemError for a model that is named by a path: only the operator's are used."""
    for stage in ("player_detection", "pitch_observation"):
        name = getattr(submission.stage_configs, stage).model_name
        if name and Path(name).name != name:
            field = f"stage_configs.{stage}.model_name"
            text = f"{field}: {name[:200]}: give the bare name of a model that the service has"
            raise refused(field, name, InputError(text))
