"""`footanalytics evaluate`: scores against truth, as flat JSON on stdout."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from api.commands.evaluate import card


def configure(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(metavar="WHAT", required=True)
    for name, summary, score in (
        ("detection", "boxes by role, against YOLO labels", _detection),
        ("pitch", "the camera of single frames, against YOLO-pose labels", _pitch),
    ):
        kind = kinds.add_parser(name, help=summary)
        kind.add_argument("--images", type=Path, required=True, metavar="DIR", help="pictures")
        kind.add_argument(
            "--labels", type=Path, required=True, metavar="DIR", help="a text file a picture"
        )
        kind.add_argument("--match", default="", metavar="A,B", help="only names that begin so")
        kind.add_argument(
            "--unstretch", action="store_true", help="the images were squeezed from 16:9"
        )
        kind.add_argument("--set", action="append", default=[], metavar="STAGE.OPTION=VALUE")
        kind.set_defaults(run=_printing, score=score)
    match = kinds.add_parser("match", help="a run's tables, against the tables of the truth")
    match.add_argument("--truth", type=Path, required=True, metavar="DIR")
    match.add_argument("--result", type=Path, required=True, metavar="DIR")
    match.add_argument(
        "--teams-configured", action="store_true", help="count swapped teams as wrong"
    )
    match.set_defaults(run=_printing, score=_match)
    events = kinds.add_parser("events", help="events found in tracking, against collected ones")
    events.add_argument("--tracking", type=Path, required=True, metavar="DIR")
    events.add_argument("--set", action="append", default=[], metavar="STAGE.OPTION=VALUE")
    events.set_defaults(run=_printing, score=_events)
    labels = kinds.add_parser("labels", help="a run's tables, against labels by hand of its clip")
    labels.add_argument("--clip", required=True, metavar="NAME", help="as in evaluation/labels/")
    labels.add_argument("--result", type=Path, required=True, metavar="DIR")
    labels.set_defaults(run=_printing, score=_labels)
    play = kinds.add_parser("play", help="simulated play, beside real tracking and usual figures")
    play.add_argument("--truth", type=Path, required=True, nargs="+", metavar="DIR")
    play.add_argument("--tracking", type=Path, metavar="DIR")
    play.set_defaults(run=_printing, score=_play)
    card.configure(kinds)


def _printing(options: argparse.Namespace) -> int:
    print(json.dumps(options.score(options), indent=2))
    return 0


def _detection(options: argparse.Namespace) -> Mapping[str, Any]:
    from api.commands.evaluate.product import detections, option_values
    from evaluation.detection import score_detection
    from infrastructure.single_frame import SingleFrameAnalysis

    analysis = SingleFrameAnalysis(option_values(options.set))
    return score_detection(
        options.images,
        options.labels,
        lambda image: detections(analysis, image),
        matches=_matches(options),
        unstretch=options.unstretch,
    )


def _pitch(options: argparse.Namespace) -> Mapping[str, Any]:
    from api.commands.evaluate.product import camera, option_values
    from evaluation.pitch import score_pitch
    from infrastructure.single_frame import SingleFrameAnalysis

    analysis = SingleFrameAnalysis(option_values(options.set))
    return score_pitch(
        options.images,
        options.labels,
        lambda image: camera(analysis, image),
        matches=_matches(options),
        unstretch=options.unstretch,
    )


def _match(options: argparse.Namespace) -> Mapping[str, Any]:
    from evaluation.match import score_match

    return score_match(
        options.truth,
        options.result,
        teams_configured=options.teams_configured,
        image_size=_image_size(options.result),
    )


def _events(options: argparse.Namespace) -> Mapping[str, Any]:
    from api.commands.evaluate.product import option_values
    from evaluation.events import score_events
    from infrastructure.single_frame import events_in_tracking

    values = option_values(options.set)
    return score_events(options.tracking, lambda *given: events_in_tracking(values, *given))


def _labels(options: argparse.Namespace) -> Mapping[str, Any]:
    from evaluation.by_hand import score_by_hand
    from evaluation.hand_labels import load_hand_labels

    return score_by_hand(load_hand_labels(options.clip), options.result)


def _play(options: argparse.Namespace) -> Mapping[str, Any]:
    from evaluation.play_statistics import compare_play
    from evaluation.play_tables import load_real, load_truth

    real = None if options.tracking is None else load_real(options.tracking)
    return compare_play([load_truth(folder) for folder in options.truth], real)


def _matches(options: argparse.Namespace) -> tuple[str, ...]:
    return tuple(name for name in options.match.split(",") if name)


def _image_size(result: Path) -> tuple[int, int] | None:
    """Width and height in pixels, where the result's summary tells them."""
    try:
        video = json.loads((result / "summary.json").read_text(encoding="utf-8"))["video"]
        return int(video["width"]), int(video["height"])
    except (OSError, ValueError, KeyError):
        return None
