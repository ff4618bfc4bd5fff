"""The OpenAPI document as it is served: every answer with its media type and an example."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi

from api.problems import MEDIA_TYPE, Problem

Document = dict[str, Any]
_METHODS = ("get", "post", "delete")
_DESCRIPTION = (
    "Turns football match videos into tracking data, events, formations and metrics. Errors are "
    "problem documents (RFC 9457)."
)
_DETAILS = {
    400: ("malformed", "body: Expecting value"),
    401: ("no-key", "send an API key in the header Authorization: Bearer KEY"),
    403: ("lacks-scope", "this key lacks the scope operate: ask the operator for one that has it"),
    404: ("unknown-pipeline", "there is no pipeline 3f0c9a5e7f214d0b9a4c8f1c2b6d7e80"),
    406: ("not-acceptable", "tables come as Parquet, Arrow and JSON"),
    408: ("request-timeout", "the body came too slowly: send it again"),
    409: ("wrong-state", "pipeline 3f0c9a5e7f214d0b9a4c8f1c2b6d7e80 is running: cancel it first"),
    410: ("gone", "the input is gone since it was analysed: put it back to see pictures of it"),
    413: ("content-too-large", "the body is longer than 1048576 bytes: send less"),
    416: ("range-not-satisfiable", "the file has 48213 bytes"),
    422: ("illegal-values", "batch_size: Input should be greater than or equal to 1"),
    429: ("too-many-requests", "too many requests: ask again in 7 s"),
    500: ("failure", "the service failed at this: its log says why"),
    503: (
        "unavailable",
        "the service cannot reach what it needs: try again later; GET /health says what is missing",
    ),
    507: ("no-room", "the disk for uploads is full: tell the operator"),
}

_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API key"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that an operation may answer with, for `responses=`; some always may."""
    return {status: _problem(status) for status in sorted({*statuses, 401, 403, 429, 500})}


def _problem(status: int) -> dict[str, Any]:
    kind, detail = _DETAILS[status]
    example = {
        "type": f"urn:footanalytics:problem:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": "/api/v1/process-video",
    }
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
    }


def binary(description: str, *media_types: str) -> dict[str, Any]:
    """An answer that is a file."""
    schema = {"schema": {"type": "string", "format": "binary"}}
    return {"description": description, "content": dict.fromkeys(media_types, schema)}


def document(app: FastAPI, routers: Sequence[APIRouter]) -> Document:
    """The OpenAPI document of `app`, which is made of `routers`; it is made once."""
    if not app.openapi_schema:
        made = get_openapi(
            title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes
        )
        schemas = made["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        _add_problem(schemas)
        for name, example in _examples(routers).items():
            schemas[name]["examples"] = [example]
        for operation in operations(made):
            _complete(operation, schemas)
        made["components"]["securitySchemes"] = _KEYS
        made["security"] = [{}, *({name: []} for name in _KEYS)]  # {}: none on this machine
        app.openapi_schema = made
    return app.openapi_schema


def operations(made: Document) -> Iterator[Document]:
    """Each operation of the document."""
    for path in made["paths"].values():
        yield from (path[method] for method in _METHODS if method in path)


def _examples(routers: Sequence[APIRouter]) -> Mapping[str, Any]:
    """The example of each answer's model; in the document FastAPI leaves their nulls out."""
    found: dict[str, Any] = {}
    for route in (route for router in routers for route in router.routes):
        answers = getattr(route, "responses", {}).values()
        for model in (getattr(route, "response_model", None), *(a.get("model") for a in answers)):
            extra = getattr(model, "model_config", {}).get("json_schema_extra", {})
            if model and "examples" in extra:
                found[model.__name__] = extra["examples"][0]
    return found


def _add_problem(schemas: Document) -> None:
    made = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(made.pop("$defs"))
    schemas["Problem"] = made


def _complete(operation: Document, schemas: Mapping[str, Any]) -> None:
    """Give each JSON answer its schema's example, and drop FastAPI's own kind of 422."""
    answers = operation["responses"]
    for status, answer in list(answers.items()):
        content = answer.get("content", {})
        if "HTTPValidationError" in str(content):
            answers[status] = _problem(422)
            continue
        for entry in content.values():
            name = entry.get("schema", {}).get("$ref", "").rpartition("/")[2]
            examples = schemas.get(name, {}).get("examples")
            if examples and "example" not in entry:
                entry["example"] = examples[0]
