"""Whether a folder already holds all results of a match, told without opening the match's files.

A finished run leaves a mark: what decided its results, files by size and time of writing. The keys
of the cells tell the same from the files' bytes, but to read those takes as long as to copy them.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from application.stage import GPUStage
from domain.configuration import ProcessingConfiguration
from infrastructure.catalogue import chosen
from infrastructure.frame_source import READER_VERSION
from infrastructure.local_run import STATE_FOLDER
from infrastructure.planning import model_path
from infrastructure.storage.folder import write_whole
from infrastructure.tracking_data import is_tracking

_MARK = "finished.json"


def fingerprint(configuration: ProcessingConfiguration) -> str:
    """What decides the results, as one hash: options, files, stages' versions, networks."""
    kinds = chosen(configuration)
    networks = []
    if not is_tracking(configuration.video_path):
        networks = [model_path(k, configuration) for k in kinds.values() if issubclass(k, GPUStage)]
    inputs = [Path(path) for path in configuration.video_path]
    content = {
        "configuration": configuration.model_dump(mode="json"),
        "versions": {name: kind.version for name, kind in kinds.items()},
        "reader": READER_VERSION,
        "files": [stamp for path in (*inputs, *networks) for stamp in _stamps(path)],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _stamps(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of writing of a file, or of each file in a folder."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if file.is_file():
            found = file.stat()
            yield str(file.absolute()), found.st_size, found.st_mtime_ns


def begun(out: Path) -> None:
    """A run is writing into `out`: whatever was finished there is not any more."""
    (out / STATE_FOLDER / _MARK).unlink(missing_ok=True)


def finished(out: Path, mark: str) -> None:
    """A run with the fingerprint `mark` has left all its results in `out`."""
    write_whole(out / STATE_FOLDER / _MARK, json.dumps({"fingerprint": mark}).encode())


def report_of(out: Path, mark: str) -> dict[str, Any] | None:
    """What the finished run with the fingerprint `mark` reported; None where there was none.

    Results that were deleted since are missing: then it is not finished.
    """
    folder = out / STATE_FOLDER
    try:
        if json.loads((folder / _MARK).read_bytes())["fingerprint"] != mark:
            return None
        files = json.loads((folder / "published.json").read_bytes())
        report = json.loads((out / "run.json").read_bytes())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return report if all((out / name).is_file() for name in files) else None
