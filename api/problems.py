"""Errors as RFC 9457 problem documents; the one place that knows which status an error gets."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from api.schemas.legal import legal_values
from application.queries import UnknownResultError
from domain.errors import (
    ArtifactError,
    FootAnalyticsError,
    InputError,
    ResourceError,
    StateLostError,
    TransitionError,
    UnknownPipelineError,
)
from infrastructure.settings import masked

_log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_LONGEST_VALUE = 200
_RETRY_S = 2
_QUEUE_S = 60
_AWAY = "the service cannot reach what it needs: try again later; GET /health says what is missing"
_KINDS: tuple[tuple[type[FootAnalyticsError], int, str], ...] = (
    (UnknownPipelineError, 404, "unknown-pipeline"),
    (UnknownResultError, 404, "unknown-result"),
    (InputError, 422, "refused-input"),
    (TransitionError, 409, "wrong-state"),
    (StateLostError, 503, "state-is-rebuilt"),
    (ResourceError, 503, "unavailable"),
    (ArtifactError, 410, "gone"),
)
"""The first that fits counts; any other error is the service's own fault."""


class WrongValue(BaseModel):
    """One value of a request that is not legal."""

    place: str = Field(description="body, query, path or header")
    field: str = Field(description="its name, with dots where it lies deeper")
    value: Any = Field(None, description="what was given")
    legal: str | None = Field(None, description="what would be legal")
    message: str


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = Field(description="a URN that names the kind of problem")
    title: str = Field(description="the kind of problem in words")
    status: int = Field(description="the HTTP status")
    detail: str = Field(description="what is wrong here, and what to do")
    instance: str | None = Field(None, description="the path that was asked for")
    errors: list[WrongValue] | None = Field(None, description="each value that is not legal")


class ProblemError(Exception):
    """An error of the API's own, with its status; `wrong` is the value that is not legal."""

    def __init__(
        self, status: int, kind: str, detail: str, wrong: WrongValue | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.wrong = status, kind, wrong


def handle_errors(app: FastAPI, recover: Callable[[Request], Awaitable[None]]) -> None:
    """Answer every error of `app` with a problem; `recover` is called when the state is lost."""

    async def state_lost(request: Request, error: Exception) -> Response:
        await recover(request)
        return _ours(request, error)

    app.add_exception_handler(StateLostError, state_lost)
    app.add_exception_handler(FootAnalyticsError, _ours)
    app.add_exception_handler(ProblemError, _own)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


def problem(
    path: str,
    status: int,
    kind: str,
    detail: str,
    *,
    errors: Sequence[WrongValue] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document as a response."""
    document = Problem(
        type=f"urn:footanalytics:problem:{kind}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=_printable(masked(detail)),
        instance=_printable(path),
        errors=list(errors) if errors else None,
    )
    content = document.model_dump_json(exclude_none=True).encode()
    return Response(content, status, headers, MEDIA_TYPE)


def _ours(request: Request, error: Exception) -> Response:
    path, detail = request.url.path, " ".join(str(error).split())
    for kind, status, name in _KINDS:
        if isinstance(error, kind):
            if status != 503:
                return problem(path, status, name, detail)
            _log.warning("%s %s: %s", request.method, path, detail)
            return problem(path, status, name, _AWAY, headers={"Retry-After": str(_RETRY_S)})
    return _unforeseen(request, error)


def _own(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    wait_s = {429: _QUEUE_S, 503: _RETRY_S}.get(error.status)
    headers = {"Retry-After": str(wait_s)} if wait_s else None
    errors = [error.wrong] if error.wrong else None
    path, detail = request.url.path, str(error)
    return problem(path, error.status, error.kind, detail, errors=errors, headers=headers)


def refused(field: str, value: str, error: Exception, *, place: str = "body") -> ProblemError:
    """A text of the request that the service does not take, and why."""
    detail = " ".join(str(error).split())
    wrong = WrongValue(
        place=place, field=field, value=_plain(value), legal=None, message=_printable(detail)
    )
    return ProblemError(422, "refused-input", detail, wrong)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    detail = str(error.detail)
    if error.status_code == 404:
        detail = f"there is nothing at {request.url.path}: see /openapi.json for what there is"
    if error.status_code == 405:
        detail = f"{request.method} is not for {request.url.path}: see the header Allow"
    kind = "content-too-large" if error.status_code == 413 else phrase.lower().replace(" ", "-")
    return problem(request.url.path, error.status_code, kind, detail, headers=error.headers)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = [_wrong_value(request, each) for each in error.errors()[:50]]
    detail = "; ".join(
        f"{each.field}: {each.message}" + (f" (legal: {each.legal})" if each.legal else "")
        for each in wrong
    )
    malformed = any(each["type"] == "json_invalid" for each in error.errors())
    status, kind = (400, "malformed") if malformed else (422, "illegal-values")
    return problem(request.url.path, status, kind, detail, errors=wrong)


def _wrong_value(request: Request, error: Mapping[str, Any]) -> WrongValue:
    place, *names = (str(part) for part in error["loc"])
    if error["type"] == "json_invalid":
        return WrongValue(
            place=place, field="body", value=None, legal="JSON", message=error["ctx"]["error"]
        )
    return WrongValue(
        place=place,
        field=_printable(".".join(names)) or place,
        value=None if error["type"] == "missing" else _plain(error["input"]),
        legal=legal_values(request, place, names),
        message=_printable(error["msg"].removeprefix("Value error, ")),
    )


def _unforeseen(request: Request, error: Exception) -> Response:
    if isinstance(error, FootAnalyticsError):
        _log.error("%s %s", request.method, request.url.path, exc_info=error)
    detail = "the service failed at this: its log says why"
    return problem(request.url.path, 500, "failure", detail)


def _plain(value: Any) -> Any:
    """The value as far as JSON can carry it, not at any length, and without what is secret."""
    if isinstance(value, str) and "://" in value:
        value = masked(value)
    text = json.dumps(value, default=repr)
    if len(text) > _LONGEST_VALUE:
        return text[:_LONGEST_VALUE] + "..."
    return value if text.isascii() and "NaN" not in text and "\\ud" not in text else text


def _printable(text: str) -> str:
    """Without halves of surrogate pairs, which no UTF-8 can carry."""
    return text.encode(errors="backslashreplace").decode()
