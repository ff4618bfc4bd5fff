"""`footanalytics train`: the recipes that made the shipped weights."""

import argparse
import os
from pathlib import Path

from domain.errors import InputError

MOST_SIMULATED = 100_000


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", choices=("detector", "pitch"))
    parser.add_argument("--data", type=Path, metavar="DIR", help="default: FOOTANALYTICS_REAL_DATA")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="for checkpoints and the ONNX file"
    )
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--steps", type=int, help="optimiser steps (the recipe's: 3600; pitch 5000)"
    )
    budget.add_argument("--minutes", type=float, help="stop the schedule after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--start",
        metavar="FILE.onnx",
        help="go on from this network: a file, or detector or pitch, which ship",
    )
    parser.add_argument(
        "--simulated", type=int, metavar="N", help="matches to render frames of (the recipe's: 260)"
    )
    parser.add_argument("--threads", type=int, help="default 2")
    parser.add_argument("--afresh", action="store_true", help="do not resume what lies in DIR")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from training.recipes import train

    data = options.data or Path(os.environ.get("FOOTANALYTICS_REAL_DATA", ""))
    if not data.is_dir() or data == Path():
        raise InputError("train: no training data: give --data DIR or FOOTANALYTICS_REAL_DATA")
    _check_numbers(options)
    exported = train(
        options.model,
        data,
        options.out,
        steps=options.steps,
        minutes=options.minutes,
        seed=options.seed,
        resume=not options.afresh,
        start=_start(options.start),
        simulated_matches=options.simulated,
        threads=options.threads,
    )
    print(f"exported: {exported}")
    return 0


def _check_numbers(options: argparse.Namespace) -> None:
    for name, least in (
        ("steps", 1),
        ("minutes", 0.1),
        ("simulated", 0),
        ("threads", 1),
        ("seed", 0),
    ):
        value = getattr(options, name)
        if value is not None and not value >= least:
            raise InputError(f"--{name} {value:g}: expected {least:g} or more")
    if options.simulated is not None and options.simulated > MOST_SIMULATED:
        raise InputError(f"--simulated {options.simulated}: expected {MOST_SIMULATED} or fewer")


def _start(given: str | None) -> Path | None:
    """The network to go on from: a file, or the name of a shipped one."""
    from infrastructure.planning import network_file

    if given is None:
        return None
    if found := network_file(given):
        return found
    raise InputError(f"--start {given}: no such file, nor a shipped network of that name")
