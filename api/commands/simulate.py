"""`footanalytics simulate`: a match that never was, as video and as truth."""

import argparse
import json
import sys
import time
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, required=True, help="the same seed, the same match")
    parser.add_argument("--seconds", type=float, required=True, help="length of the match")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--fps", type=float, default=25.0, help="frames a second (default 25)")
    parser.add_argument(
        "--size", default="1280x720", metavar="WxH", help="frame size in pixels (default 1280x720)"
    )
    parser.add_argument(
        "--camera", default="main", help="main (default), wide, behind_goal, amateur or drone"
    )
    parser.add_argument(
        "--broadcast", action="store_true", help="cut to other cameras, close-ups and replays"
    )
    parser.add_argument(
        "--half-time",
        type=float,
        metavar="S",
        help="seconds after which the first half ends and the teams change ends",
    )
    parser.add_argument(
        "--break",
        dest="break_s",
        type=float,
        metavar="S",
        help="seconds from then to the second half (default 60)",
    )
    parser.add_argument("--no-video", action="store_true", help="write the truth tables only")
    parser.add_argument(
        "--stills",
        type=int,
        metavar="N",
        help="write N labelled frames (players/ and pitch/, as `train` reads) and nothing else",
    )
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from domain.errors import InputError
    from simulation import SimulationOptions, simulate, write, write_stills

    width, height = _size(options.size)
    if options.break_s is not None and options.half_time is None:
        raise InputError("--break: there is none without --half-time")
    wanted = SimulationOptions(
        seed=options.seed,
        seconds=options.seconds,
        fps=options.fps,
        width=width,
        height=height,
        camera=options.camera,
        broadcast=options.broadcast,
        half_time_s=options.half_time,
        break_s=60.0 if options.break_s is None else options.break_s,
    )
    print(f"playing {options.seconds:g} s of football", file=sys.stderr)
    match = simulate(wanted)
    if options.half_time is not None and len(match.record.periods) < 2:
        raise InputError(
            f"--seconds {options.seconds:g}: people were not back for the second half by then; "
            "give more --seconds"
        )
    if options.stills is not None:
        stills = write_stills(match, options.out, options.stills, progress=Ticker("stills"))
        told = {"out": str(options.out), "files": [str(p.relative_to(options.out)) for p in stills]}
        print(json.dumps(told) if options.json else f"{len(stills)} labelled frames: {options.out}")
        return 0
    folder = write(match, options.out, video=not options.no_video, progress=Ticker("rendering"))
    files = sorted(path.name for path in folder.iterdir() if path.is_file())
    if options.json:
        print(json.dumps({"out": str(folder), "files": files}))
    else:
        print(f"{match.options.frame_count} frames and the truth: {folder}")
    return 0


class Ticker:
    """Says on stderr, every few seconds, how far something is."""

    def __init__(self, what: str, every_s: float = 5.0) -> None:
        self._what = what
        self._every_s = every_s
        self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if done == total or time.monotonic() - self._last >= self._every_s:
            self._last = time.monotonic()
            print(f"{self._what}: {done}/{total} frames", file=sys.stderr)


def _size(text: str) -> tuple[int, int]:
    from domain.errors import InputError

    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise InputError(f"--size {text}: expected WIDTHxHEIGHT, as in 1280x720")
    return int(width), int(height)
