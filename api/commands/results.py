"""`footanalytics results`: list or fetch what a match on a running service left."""

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.commands import remote
from domain.errors import FootAnalyticsError, ResourceError

if TYPE_CHECKING:
    import httpx

_MARK = ".footanalytics/results-of"


def configure(parser: argparse.ArgumentParser) -> None:
    remote.add_options(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="fetch every file into DIR (default: list them)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    path = remote.of_pipeline(options.pipeline_id, "results")
    with remote.client(options.url) as http:
        results = remote.ask(http, "GET", path)
        if options.out:
            _refuse_another(options.out, options.pipeline_id)
            _fetch_all(http, results["files"], options.out)
    rows = [(entry["size"], entry["name"]) for entry in results["files"]]
    text = remote.as_table(("BYTES", "FILE"), rows)
    if options.out:
        text = f"{len(rows)} files: {options.out}"
    remote.show(results, text, as_json=options.json)
    return 0


def _refuse_another(out: Path, pipeline_id: str) -> None:
    """Files of two matches in one folder would pass for those of one."""
    mark = out / _MARK
    try:
        if (
            out.is_dir()
            and any(out.iterdir())
            and (not mark.is_file() or mark.read_text().strip() != pipeline_id)
        ):
            raise ResourceError(f"{out}: holds something else: choose another --out")
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(f"{pipeline_id}\n")
    except OSError as error:
        raise ResourceError(f"{out}: {error.strerror}: choose another --out") from error


def _fetch_all(http: "httpx.Client", files: list[dict[str, Any]], out: Path) -> None:
    try:
        for entry in files:
            target = out / entry["name"]
            if not target.resolve().is_relative_to(out.resolve()):
                raise FootAnalyticsError(f"{entry['name']}: leads out of {out}: not fetched")
            target.parent.mkdir(parents=True, exist_ok=True)
            _fetch(http, entry, target)
    except OSError as error:
        raise ResourceError(
            f"{error.filename or out}: {error.strerror}: choose another --out"
        ) from error


def _fetch(http: "httpx.Client", entry: dict[str, Any], target: Path) -> None:
    """The file is there whole, with the promised hash, or not at all."""
    part = target.with_name(f".{target.name}.part")
    digest = hashlib.sha256()
    try:
        with http.stream("GET", entry["href"]) as answer, part.open("wb") as file:
            if not answer.is_success:
                answer.read()
                remote.refuse_problem(answer)
            for piece in answer.iter_bytes():
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != entry["sha256"]:
            raise FootAnalyticsError(f"{entry['name']}: came damaged: fetch it again")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
