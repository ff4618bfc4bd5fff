"""What a completed match left: its files, its tables as Parquet, Arrow or JSON."""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as InPath
from starlette.responses import StreamingResponse

from api.problems import ProblemError
from api.routes import rows
from api.routes.access import Reading
from api.routes.files import ARROW, PARQUET, artifact_response, made_file, media_type_of
from api.routes.parts import Parts, PipelineId, TheParts
from api.schemas.documented import binary, problems
from api.schemas.results import (
    Formations,
    MatchEvents,
    Metrics,
    ResultFile,
    Results,
    TableRows,
)
from domain.errors import ArtifactError
from domain.tables import PUBLIC_TABLES

router = APIRouter(prefix="/api/v1/pipeline/{pipeline_id}", tags=["results"])
Format = Literal["parquet", "arrow", "json"]
_MEDIA: dict[str, Format] = {PARQUET: "parquet", ARROW: "arrow", "application/json": "json"}
TableName = Annotated[
    str, InPath(json_schema_extra={"enum": list(PUBLIC_TABLES)}, description="a public table")
]
Seconds = Annotated[float | None, Query(ge=0, le=1e6, allow_inf_nan=False)]
First = Annotated[int, Query(alias="cursor", ge=0, description="as the next page's path has it")]
Limit = Annotated[int, Query(ge=1, le=10_000, description="rows of a page")]


async def _wanted(
    from_s: Seconds = None,
    to_s: Seconds = None,
    player: Annotated[str | None, Query(max_length=200)] = None,
    track: Annotated[int | None, Query(ge=0, lt=1 << 62)] = None,
) -> rows.Wanted:
    return rows.Wanted(from_s, to_s, player, track)


Filters = Annotated[rows.Wanted, Depends(_wanted)]


@router.get("/results", summary="List what a match left", responses=problems(404, 409, 503))
def results(pipeline_id: PipelineId, parts: TheParts, _: Reading) -> Results:
    """The files of a completed match."""
    base = f"/api/v1/pipeline/{pipeline_id}/results"
    files = parts.queries.results(pipeline_id)
    listed = [
        ResultFile(
            name=name,
            size=artifact.size,
            media_type=media_type_of(name),
            sha256=artifact.sha256,
            href=f"{base}/files/{quote(name)}",
        )
        for name, artifact in sorted(files.items())
    ]
    tables = {name: f"{base}/tables/{name}" for name in PUBLIC_TABLES if f"{name}.parquet" in files}
    return Results(pipeline_id=pipeline_id, files=listed, tables=tables)


@router.get(
    "/results/files/{name:path}",
    summary="Fetch a file",
    response_class=Response,
    responses=problems(400, 404, 409, 410, 416, 503)
    | {
        200: binary("The file.", "application/octet-stream"),
        206: binary("The range that was asked for.", "application/octet-stream"),
        304: {"description": "The file that the client has (If-None-Match) is the same."},
    },
)
def file(
    pipeline_id: PipelineId, name: str, request: Request, parts: TheParts, _: Reading
) -> Response:
    """A file by its name, or a range of it; the ETag is its SHA-256."""
    artifact = parts.queries.file(pipeline_id, name)
    return artifact_response(request, parts.artifacts, artifact, name)


@router.get(
    "/results/tables/{table}",
    summary="Fetch a table",
    response_class=Response,
    responses=problems(400, 404, 406, 409, 410, 416, 422, 503)
    | {
        200: {
            **binary("The rows, in the form that Accept or `format` asks for.", PARQUET, ARROW),
            "model": TableRows,
        },
        206: binary("The range that was asked for.", PARQUET),
        304: {"description": "The table that the client has (If-None-Match) is the same."},
    },
)
def table(
    pipeline_id: PipelineId,
    table: TableName,
    request: Request,
    parts: TheParts,
    _: Reading,
    wanted: Filters,
    form: Annotated[
        Format | None, Query(alias="format", description="empty: by the header Accept, or parquet")
    ] = None,
    first: First = 0,
    limit: Limit = 1000,
) -> Response:
    """A table, whole or filtered: as Parquet, as an Arrow IPC stream, or as pages of JSON."""
    form = form or _accepted(request.headers.get("accept", "*/*"))
    choice = _choice(pipeline_id, table, wanted, parts)
    if form == "json":
        content = TableRows(**_page(request, table, choice, first, limit)).model_dump_json()
        return Response(content, media_type="application/json")
    if form == "arrow":
        return StreamingResponse(rows.arrow_stream(choice), media_type=ARROW)
    if not choice.is_all:
        return made_file(
            parts.artifacts,
            f"{table}.parquet",
            PARQUET,
            lambda path: rows.write_parquet(choice, path),
        )
    name = f"{table}.parquet"
    artifact = parts.queries.file(pipeline_id, name)
    return artifact_response(request, parts.artifacts, artifact, name)


_ROWS: dict[str, Any] = {"responses": problems(404, 409, 410, 422, 503)}


@router.get("/results/events", summary="What happened on the pitch", **_ROWS)
def events(
    pipeline_id: PipelineId,
    request: Request,
    parts: TheParts,
    _: Reading,
    wanted: Filters,
    first: First = 0,
    limit: Limit = 1000,
) -> MatchEvents:
    """Match events in the order of time; `player` is who acted or received."""
    choice = _choice(pipeline_id, "match_events", wanted, parts)
    return MatchEvents(**_page(request, "match_events", choice, first, limit))


@router.get("/results/metrics", summary="Figures of players and teams", **_ROWS)
def metrics(
    pipeline_id: PipelineId,
    request: Request,
    parts: TheParts,
    _: Reading,
    wanted: Filters,
    first: First = 0,
    limit: Limit = 1000,
) -> Metrics:
    """Distances, speeds, possession and the like, each with its uncertainty."""
    choice = _choice(pipeline_id, "metrics", wanted, parts)
    return Metrics(**_page(request, "metrics", choice, first, limit))


@router.get("/results/formations", summary="How the teams stood", **_ROWS)
def formations(
    pipeline_id: PipelineId,
    request: Request,
    parts: TheParts,
    _: Reading,
    wanted: Filters,
    first: First = 0,
    limit: Limit = 1000,
) -> Formations:
    """Formations by team and window; `player` gives those that he stood in."""
    choice = _choice(pipeline_id, "formations", wanted, parts)
    return Formations(**_page(request, "formations", choice, first, limit))


def table_file(pipeline_id: str, table: str, parts: Parts) -> Path:
    """The Parquet file of a table.

    Raises:
        UnknownResultError: the match left no such table.
        ArtifactError: it is gone from storage.
    """
    path = parts.artifacts.local_path(parts.queries.file(pipeline_id, f"{table}.parquet"))
    if not path.is_file():
        raise ArtifactError(f"{table}: it is gone from storage: analyse the match again")
    return path


def _choice(pipeline_id: str, table: str, wanted: rows.Wanted, parts: Parts) -> rows.Choice:
    return rows.choose(table, wanted, lambda name: table_file(pipeline_id, name, parts))


def _page(
    request: Request, table: str, choice: rows.Choice, first: int, limit: int
) -> dict[str, Any]:
    found, more = rows.page(choice, first, limit)
    link = None
    if more is not None:
        link = f"{request.url.path}?{urlencode({**request.query_params, 'cursor': more})}"
    return {"table": table, "rows": found, "next": link}


def _accepted(header: str) -> Format:
    """The form that the client likes best; Parquet where it likes all alike."""
    best: tuple[float, Format] | None = None
    for entry in header.split(","):
        kind, *parameters = (part.strip().lower() for part in entry.split(";"))
        form = "parquet" if kind in {"*/*", "application/*"} else _MEDIA.get(kind)
        weight = next((_number(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
        if form and weight > (best[0] if best else 0.0):
            best = (weight, form)
    if best is None:
        raise ProblemError(406, "not-acceptable", "tables come as Parquet, Arrow and JSON")
    return best[1]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
