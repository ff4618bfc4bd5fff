"""`footanalytics demo`: renders a short match, analyses it and shows what was found."""

import argparse
import json
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

# A seed that no model was trained on. Rendering takes most of the time: about 60 ms a frame.
SEED, SECONDS = 950_007, 20.0
_PICTURE: dict[str, Any] = {"fps": 25.0, "width": 1280, "height": 720}
_SHOWN = {
    "video": "annotated.mp4",
    "report": "report.html",
    "summary": "summary.json",
    "exports": "exports",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), metavar="DIR", help="where everything goes"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="length of the match")
    parser.add_argument("--seed", type=int, default=SEED, help="another seed, another match")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    video = rendered(options.out / "match", options.seed, options.seconds)
    say("2/3 analysing it as any video: detection, calibration, tracking, teams, events, ...")
    seconds = _analyse(video, options.out)
    say("3/3 done")
    summary = json.loads((options.out / "summary.json").read_text(encoding="utf-8"))
    paths = {name: str(options.out / file) for name, file in _SHOWN.items()}
    paths |= {"tables": str(options.out / "*.parquet"), "truth": str(video.parent)}
    if options.json:
        print(json.dumps({"paths": paths, "analysis_s": seconds, "summary": summary}, indent=2))
    else:
        print("\n".join(["", "Found:", *(f"  {line}" for line in findings(summary)), "", "Open:"]))
        print("\n".join(f"  {name:8} {path}" for name, path in paths.items()))
    return 0


def rendered(folder: Path, seed: int, seconds: float) -> Path:
    """The match's video in `folder`, beside its truth; rendered only where it is not there yet.

    Raises:
        FootAnalyticsError: an option is out of range, or the folder cannot be written.
    """
    from api.commands.simulate import Ticker
    from domain.errors import ResourceError
    from simulation import SimulationOptions, simulate, write

    chosen = SimulationOptions(seed=seed, seconds=seconds, **_PICTURE)
    made_by = {"version": version("footanalytics"), "seed": seed, "seconds": seconds}
    recipe = json.dumps(made_by | _PICTURE)
    video, record = folder / "match.mp4", folder / "recipe.json"
    if video.is_file() and record.is_file() and record.read_text() == recipe:
        say(f"1/3 the match is already rendered: {video}")
        return video
    say(f"1/3 rendering a match of {seconds:g} s with seed {seed}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        record.unlink(missing_ok=True)
        write(simulate(chosen), folder, progress=Ticker("rendering"))
        record.write_text(recipe)
    except OSError as error:
        raise ResourceError(f"{folder}: cannot be written ({error.strerror})") from error
    return video


def findings(summary: Mapping[str, Any]) -> list[str]:
    """The headlines of a summary, a line each; what was not measured has no line."""
    lines = [
        *_seen(summary.get("calibration"), summary.get("ball")),
        *_people(summary.get("identities")),
        *_events(summary.get("match_events")),
        *_possession(summary.get("metrics", [])),
        *_formations(summary.get("formations", [])),
    ]
    return lines or ["nothing that could be measured"]


def _seen(calibration: dict | None, ball: dict | None) -> list[str]:
    lines = []
    if calibration:
        error = calibration["median_expected_error_m"]
        known = f", expected error {error:.2f} m" if error is not None else ""
        lines.append(f"pitch known in {calibration['answered_share']:.0%} of the frames{known}")
    if ball:
        seen = ball.get("seen_share", 0) + ball.get("held_share", 0)
        lines.append(f"ball seen in {seen:.0%} of the frames")
    return lines


def _people(identities: dict | None) -> list[str]:
    counts = identities["people"] if identities else {}
    return [", ".join(f"{team} {count}" for team, count in counts.items())] if counts else []


def _events(counts: dict | None) -> list[str]:
    named = [f"{count} {name.replace('_', ' ')}" for name, count in (counts or {}).items()]
    return [f"events: {', '.join(named)}"] if named else []


def _possession(metrics: list[dict]) -> list[str]:
    shares = [
        f"{row['subject']} {row['value']:.0%}"
        for row in metrics
        if row["name"] == "possession" and row["value"] is not None
    ]
    return [f"possession: {', '.join(shares)}"] if shares else []


def _formations(rows: list[dict]) -> list[str]:
    labels = {row["team"]: row["label"] for row in rows if row["phase"] == "all"}
    named = ", ".join(f"{team} {label}" for team, label in labels.items())
    return [f"formations: {named}"] if labels else []


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _analyse(video: Path, out: Path) -> float:
    """Analyse into `out` with video and report; returns the seconds it took."""
    from api.progress import observer
    from domain.configuration import ProcessingConfiguration
    from infrastructure.bootstrap.local import analyze_locally

    wanted = {"annotated_video": True, "report": True}
    values = {"video_path": str(video), "stage_configs": {"export": wanted}}
    with observer() as watching:
        return analyze_locally(ProcessingConfiguration.parse(values), out, watching).wall_s
