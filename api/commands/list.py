"""`footanalytics list`: the matches of a running service."""

import argparse
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from api.commands import remote

_HEAD = ("ID", "STATE", "VIDEO", "PRIORITY", "SUBMITTED", "OWNER", "ERROR")
_PAGE = 1000


def configure(parser: argparse.ArgumentParser) -> None:
    remote.add_options(parser, pipeline=False)
    parser.add_argument("--state", help="queued, running, completed, failed or cancelled")
    parser.add_argument("--owner", help="those of one client")
    parser.add_argument("--limit", type=int, default=100, help="how many at most (default: 100)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    given = {"state": options.state, "owner": options.owner, "limit": min(options.limit, _PAGE)}
    query = {name: value for name, value in given.items() if value is not None}
    with remote.client(options.url) as http:
        found: list[dict[str, Any]] = []
        while True:
            page = remote.ask(http, "GET", "/api/v1/pipelines", **query)
            found += page["pipelines"]
            if not page["next"] or len(found) >= options.limit:
                break
            query = dict(parse_qsl(urlsplit(page["next"]).query))
    found = found[: options.limit]
    rows = [_row(record) for record in found]
    remote.show(found, remote.as_table(_HEAD, rows), as_json=options.json)
    return 0


def _row(record: dict[str, Any]) -> list[str]:
    video = " ".join(path.rsplit("/", 1)[-1] for path in record["video_path"])
    submitted = record["submitted_at"].partition(".")[0]
    fields = (record[name] for name in ("owner", "error"))
    return [record["pipeline_id"], record["state"], video, record["priority"], submitted, *fields]
