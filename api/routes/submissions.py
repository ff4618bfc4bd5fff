"""Submitting a match."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Body, Header, Response

from api.problems import ProblemError, refused
from api.routes.access import Caller, Submitting
from api.routes.parts import Parts, TheParts
from api.routes.uploads import SCHEME, uploaded_path
from api.schemas.documented import problems
from api.schemas.submission import EXAMPLE, TWO_HALVES, Links, Pipeline, Submission
from api.security.models import allowed_model
from application.service import identity_of
from domain.configuration import ProcessingConfiguration
from domain.errors import ConfigurationError, InputError
from domain.pipeline import PipelineState

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
    responses=problems(400, 408, 413, 422, 503)
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
    paths = tuple(str(_real_path(path, parts)) for path in submission.video_path)
    configuration = _with_allowed_models(submission.configuration(paths), parts)
    _refuse_full_queue(parts, caller, key)
    record = parts.service.submit(
        configuration,
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


def _with_allowed_models(
    configuration: ProcessingConfiguration, parts: Parts
) -> ProcessingConfiguration:
    """Raises ProblemError for a model that is not the operator's."""
    stages = configuration.stage_configs
    for stage in ("player_detection", "pitch_observation"):
        options = getattr(stages, stage)
        if options.model_name:
            field = f"stage_configs.{stage}.model_name"
            try:
                model = allowed_model(options.model_name, parts.rules.models)
            except InputError as error:
                text = InputError(f"{field}: {error}")
                raise refused(field, options.model_name, text) from error
            named = options.model_copy(update={"model_name": model})
            stages = stages.model_copy(update={stage: named})
    return configuration.model_copy(update={"stage_configs": stages})


def _refuse_full_queue(parts: Parts, caller: Caller, key: str) -> None:
    """Raises ProblemError where the owner has too many waiting, but for one that is there already.

    Whoever submits several at the same moment may get a few more.
    """
    if not caller.owner or (key and parts.state.pipeline(identity_of(caller.owner, key))):
        return
    most, queued = parts.rules.max_queued, PipelineState.QUEUED
    if parts.state.pipelines(owner=caller.owner, state=queued, offset=most - 1, limit=1):
        text = f"{most} matches of yours wait already: come again when some have run"
        raise ProblemError(429, "too-many-waiting", text)
