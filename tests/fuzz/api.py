"""Generated requests against a real service: `python -m tests.fuzz.api --examples 100`.

schemathesis reads the OpenAPI document. First every operation gets what it makes up, then those
that read a match get the id of one that is finished. No answer may be a 5xx, or a status
that the document does not name.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.served import TRACKING, make_videos, served

CHECKS = "not_a_server_error,status_code_conformance"
_STREAM = r"\{pipeline_id\}/events$"
"""Server-sent events of a match that waits go on for ever, and so would each request."""
PHASES = "examples,coverage,fuzzing"
TOOL = Path(sys.executable).with_name("schemathesis")


@dataclass(frozen=True)
class Outcome:
    """How many requests were sent, and whether every answer was as it should be."""

    requests: int
    good: bool
    text: str


def run(examples: int, phases: str = PHASES) -> Sequence[Outcome]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "videos").mkdir()
        (root / "service").mkdir()
        videos = make_videos(root / "videos")
        with served("sqlite", "", root / "service", videos) as service:
            known = service.analysed(video_path=list(TRACKING))
            document = f"{service.url}/openapi.json"
            return [
                _generated(document, root, examples, phases, ""),
                _generated(document, root, examples, phases, known),
            ]


def _generated(document: str, folder: Path, examples: int, phases: str, known: str) -> Outcome:
    """One run; without a `known` match ids are made up as well."""
    config = folder / "schemathesis.toml"
    config.write_text(f'parameters = {{ "path.pipeline_id" = "{known}" }}\n' if known else "")
    chosen = ["--exclude-path-regex", _STREAM]
    chosen += ["--include-method", "GET", "--include-path-regex", "pipeline_id"] if known else []
    command = [
        *(str(TOOL), "--config-file", str(config), "run", document),
        *("--checks", CHECKS, "--max-examples", str(examples), "--seed", "1"),
        *("--phases", phases, "--request-timeout", "30"),
        *("--suppress-health-check", "all", "--no-color", *chosen),
    ]
    alone = {**os.environ, "SCHEMATHESIS_HOOKS": "", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        command, cwd=folder, env=alone, capture_output=True, text=True, check=False
    )
    found = re.search(r"([\d,]+) generated", done.stdout)
    count = int(found[1].replace(",", "")) if found else 0
    return Outcome(count, done.returncode == 0, done.stdout + done.stderr)


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.fuzz.api", description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="of each operation, at most")
    outcomes = run(parser.parse_args().examples)
    for name, outcome in zip(("made up", "known match"), outcomes, strict=True):
        print(f"{name:12} {outcome.requests} requests, {'good' if outcome.good else 'not good'}")
        if not outcome.good:
            print(outcome.text)
    return 0 if all(outcome.good for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
