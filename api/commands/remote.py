"""What the commands that talk to a running service share: the client, its errors, a table."""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from domain.errors import FootAnalyticsError, InputError, ResourceError

if TYPE_CHECKING:
    import httpx

DEFAULT_URL = "http://127.0.0.1:8000"


def add_options(parser: argparse.ArgumentParser, *, pipeline: bool = True) -> None:
    if pipeline:
        parser.add_argument("pipeline_id", metavar="ID", help="the match, as `list` shows it")
    parser.add_argument(
        "--url", default=DEFAULT_URL, help=f"where the service is (default: {DEFAULT_URL})"
    )
    parser.add_argument("--json", action="store_true", help="print the service's answer as JSON")


@contextmanager
def client(url: str) -> "Iterator[httpx.Client]":
    """A client of the service at `url`.

    Raises:
        InputError: `url` is not one of a service.
        ResourceError: there is no service, or it went away.
    """
    import httpx

    if not url.startswith(("http://", "https://")):
        raise InputError(f"--url {url}: give http://HOST:PORT")
    try:
        timeout = httpx.Timeout(60, connect=5)
        with httpx.Client(base_url=url, headers=_key(), timeout=timeout) as http:
            yield http
    except httpx.InvalidURL as error:
        raise InputError(f"--url {url}: {error}: give http://HOST:PORT") from error
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise ResourceError(
            f"{url}: no answer ({reason}): start the service, or give its address with --url"
        ) from error


def _key() -> dict[str, str]:
    """The API key, which is no option because other users see those."""
    key = os.environ.get("FOOTANALYTICS_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


def ask(http: "httpx.Client", method: str, path: str, **query: Any) -> Any:
    """The service's answer as plain values.

    Raises:
        InputError: the service does not know the match or refuses a value.
        FootAnalyticsError: it could not do it.
    """
    answer = http.request(method, path, params=query)
    refuse_problem(answer)
    return answer.json()


def of_pipeline(pipeline_id: str, what: str) -> str:
    """The path of something of a match."""
    if not pipeline_id.isalnum():
        raise InputError(f"{pipeline_id}: not the id of a match: `list` shows them")
    return f"/api/v1/pipeline/{pipeline_id}/{what}"


def refuse_problem(answer: "httpx.Response") -> None:
    """Raise what a problem document says as one of our errors."""
    if answer.is_success:
        return
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"{answer.url}: answered {answer.status_code}: is a service of ours there?"
    # 409 is no bad usage: the match is just not in a state for it.
    if 400 <= answer.status_code < 500 and answer.status_code != 409:
        raise InputError(detail)
    raise FootAnalyticsError(detail)


def show(answer: Any, text: str, *, as_json: bool) -> None:
    print(json.dumps(answer, indent=2) if as_json else text)


def as_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows under their heads, in columns; the last one is as wide as it is."""
    lines = [[str(value) for value in row] for row in (head, *rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head) - 1)]
    return "\n".join(
        "  ".join(
            [*(cell.ljust(w) for cell, w in zip(line[:-1], widths, strict=True)), line[-1]]
        ).rstrip()
        for line in lines
    )


def one_line(record: dict[str, Any]) -> str:
    """A match in one line."""
    error = f": {record['error']}" if record["error"] else ""
    return f"{record['pipeline_id']} is {record['state']}{error}"
