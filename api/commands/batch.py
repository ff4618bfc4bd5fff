"""Many matches one after the other; what one of them does is nothing to the others."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from api.batch_list import Listed, matches
from api.commands.analyze import analyze, configured, of_inputs, set_option
from api.configuration_file import ConfigurationFile
from domain.errors import FootAnalyticsError, InputError


@dataclass(frozen=True)
class Outcome:
    """What became of a match: "done", "done before" or "failed"."""

    match: str
    state: str
    frames: int
    seconds: float
    out: str
    error: str = ""


def run_batch(source: Path, settings: Sequence[str], options: argparse.Namespace) -> int:
    """Analyse the matches of `source`.

    What --config says of all of them is below what a match's own file says, and `settings` are
    above both.

    Returns:
        0 where every match is done, else 1.
    """
    found = matches(source)
    out = options.out or Path(f"{source.resolve().stem}-analysis")
    _refuse_results_among_files(found, out)
    given = configured(options.config, ())
    outcomes = []
    for number, match in enumerate(found, start=1):
        print(f"match {number}/{len(found)}: {match.name}", file=sys.stderr)
        outcome = _one(match, given, settings, out / match.name, options.processes)
        if outcome.error:
            print(f"failed: {outcome.error}", file=sys.stderr)
        outcomes.append(outcome)
    if options.json:
        print(json.dumps({"matches": [asdict(outcome) for outcome in outcomes]}, indent=2))
    else:
        print(table(outcomes))
    return int(any(outcome.state == "failed" for outcome in outcomes))


def _refuse_results_among_files(found: Sequence[Listed], out: Path) -> None:
    for match in found:
        results = (out / match.name).resolve()
        if any(results in (path, path.parent) for path in map(_resolved, match.inputs)):
            raise InputError(
                f"--out {out}: the results of {match.name} would lie among its files: "
                f"choose another folder"
            )


def _resolved(path: str) -> Path:
    return Path(path).resolve()


def _one(
    match: Listed,
    given: ConfigurationFile,
    settings: Sequence[str],
    out: Path,
    processes: int | None,
) -> Outcome:
    """Analyse a match, or take what an earlier run left."""
    started = time.monotonic()
    try:
        own = configured(match.configuration, ()).over(given)
        for setting in settings:
            set_option(own, setting)
        of_inputs(own, match.inputs)
        frames = _finished_frames(own, out)
        state = "done before" if frames is not None else "done"
        if frames is None:
            frames = analyze(own, out, processes=processes).frames
    except FootAnalyticsError as error:
        return _failed(match, out, started, " ".join(str(error).split()))
    except Exception as error:  # the match is a task of its own, whatever it does
        return _failed(match, out, started, f"{type(error).__name__}: {error}")
    return Outcome(match.name, state, frames, round(time.monotonic() - started, 1), str(out))


def _failed(match: Listed, out: Path, started: float, error: str) -> Outcome:
    return Outcome(match.name, "failed", 0, round(time.monotonic() - started, 1), str(out), error)


def _finished_frames(given: ConfigurationFile, out: Path) -> int | None:
    """The frames of a match whose results all lie in `out` already, else None."""
    from domain.configuration import ProcessingConfiguration
    from infrastructure.finished import fingerprint, report_of

    with given.named_in_errors():
        configuration = ProcessingConfiguration.parse(given.values)
    if any(not Path(path).exists() for path in configuration.video_path):
        return None
    report = report_of(out, fingerprint(configuration))
    return int(report["frames"]) if report else None


def table(outcomes: Sequence[Outcome]) -> str:
    """A line a match, in columns, and a line that counts them."""
    rows = [("match", "state", "frames", "seconds", "where", "error")]
    for each in outcomes:
        frames = str(each.frames) if each.state != "failed" else "-"
        rows.append((each.match, each.state, frames, f"{each.seconds:.1f}", each.out, each.error))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            text.rjust(width) if column in (2, 3) else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    failed = sum(each.state == "failed" for each in outcomes)
    return "\n".join([*lines, f"{len(outcomes)} matches, {failed} failed"])
