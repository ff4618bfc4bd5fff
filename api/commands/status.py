"""`footanalytics status`: how far a match on a running service is."""

import argparse
from typing import Any

from api.commands import remote


def configure(parser: argparse.ArgumentParser) -> None:
    remote.add_options(parser)
    parser.add_argument("--segments", action="store_true", help="show every segment as well")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    path = remote.of_pipeline(options.pipeline_id, "status")
    with remote.client(options.url) as http:
        status = remote.ask(http, "GET", path)  # with the segments come the times
    remote.show(status, _text(status, segments=options.segments), as_json=options.json)
    return 0


def _text(status: dict[str, Any], *, segments: bool) -> str:
    cells = status["cells"]
    lines = [
        remote.one_line(status),
        f"{status['share_done']:.0%} done ({cells['done']} of {cells['total']} cells), "
        f"priority {status['priority']}, submitted {status['submitted_at']}",
    ]
    if not status["stages"]:
        planning = status["planning"]
        error = f": {planning['error']}" if planning["error"] else ""
        lines.append(f"planning: {planning['state']}{error}")
        return "\n".join(lines)
    return "\n".join(
        [*lines, "", remote.as_table(_HEAD, _rows(status["stages"], segments=segments))]
    )


_HEAD = ("STAGE", "SEGMENT", "STATE", "DONE", "FAILURES", "SECONDS", "ERROR")


def _rows(stages: list[dict[str, Any]], *, segments: bool) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for stage in stages:
        share, seconds = f"{stage['share_done']:.0%}", _seconds(stage)
        row = (stage["stage"], "", stage["state"], share, stage["failures"], seconds)
        rows.append((*row, stage["error"]))
        for cell in stage["segments"] if segments else ():
            name = "end" if cell["segment"] is None else cell["segment"]
            failures = cell["attempts"] - (cell["state"] in ("running", "done"))
            own = ("", name, cell["state"], "", failures, _seconds(cell))
            rows.append((*own, cell["error"]))
    return rows


def _seconds(entry: dict[str, Any]) -> str:
    return "" if entry["seconds"] is None else f"{entry['seconds']:.2f}"
