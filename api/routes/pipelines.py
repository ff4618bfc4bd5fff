"""How the matches are, and what can be done to them."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from api.routes.access import Operating, Reading, Submitting, owner_seen_by
from api.routes.parts import PipelineId, TheParts
from api.schemas.documented import problems
from api.schemas.status import Status
from api.schemas.submission import Pipeline, Pipelines
from domain.pipeline import PipelineState

router = APIRouter(prefix="/api/v1", tags=["matches"])


@router.get("/pipelines", summary="List matches", responses=problems(422, 503))
def pipelines(
    request: Request,
    parts: TheParts,
    caller: Reading,
    owner: Annotated[str | None, Query(max_length=200)] = None,
    state: PipelineState | None = None,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Pipelines:
    """The matches, the latest submission first."""
    seen = owner_seen_by(caller, owner)
    found, more = parts.queries.pipelines(seen, state, offset, limit)
    given = {**request.query_params, "offset": offset + limit}
    return Pipelines(
        pipelines=[Pipeline.of(record) for record in found],
        next=f"{request.url.path}?{urlencode(given)}" if more else None,
    )


@router.get(
    "/pipeline/{pipeline_id}/status",
    summary="How far a match is",
    response_model=Status,
    responses=problems(404, 422, 503),
)
def status(
    pipeline_id: PipelineId,
    parts: TheParts,
    _: Reading,
    segments: Annotated[
        bool, Query(description="cell by cell with times; without it the answer is small and fast")
    ] = True,
) -> Response:
    """State, share done, attempts, times and errors, by stage and segment."""
    found = Status.of_status(parts.queries.status(pipeline_id, segments=segments))
    return Response(found.model_dump_json(), media_type="application/json")


@router.post(
    "/pipeline/{pipeline_id}/cancel",
    summary="Stop a match",
    responses=problems(404, 409, 503),
)
def cancel(pipeline_id: PipelineId, parts: TheParts, _: Submitting) -> Pipeline:
    """Stop it; what is done is kept for a retry. Cancelling once more changes nothing."""
    return Pipeline.of(parts.service.cancel(pipeline_id))


@router.post(
    "/pipeline/{pipeline_id}/retry",
    status_code=202,
    summary="Try a failed or cancelled match again",
    responses=problems(404, 409, 503),
)
def retry(pipeline_id: PipelineId, parts: TheParts, _: Submitting) -> Pipeline:
    """Queue it again; what is done stays done."""
    return Pipeline.of(parts.service.retry(pipeline_id))


@router.delete(
    "/pipeline/{pipeline_id}",
    status_code=204,
    summary="Delete a match and its results",
    responses=problems(404, 409, 503),
)
def delete(pipeline_id: PipelineId, parts: TheParts, _: Operating) -> None:
    """Delete a match that is completed, failed or cancelled."""
    parts.service.delete(pipeline_id)
