"""`footanalytics train`: the recipes that made the shipped weights."""

import argparse
from pathlib import Path

from api.commands.real_data import DEFAULT, real_data
from domain.errors import InputError

LEGAL = {
    "steps": (1, 10_000_000),
    "minutes": (0.1, 525_600),
    "simulated": (0, 100_000),
    "threads": (1, 1024),
    "seed": (0, 2**32 - 1),
}
"""Least and most of each number."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", choices=("detector", "pitch"))
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="DIR/players/images and DIR/players/labels, or DIR/pitch/... for pitch, as "
        f"`simulate --stills` writes them and docs/training.md describes ({DEFAULT})",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="for checkpoints and the ONNX file; a killed run goes on from there",
    )
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--steps", type=int, help="optimiser steps (the recipe's: 6000; pitch 5000)"
    )
    budget.add_argument("--minutes", type=float, help="train so long, at most the recipe's steps")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other crops")
    parser.add_argument(
        "--start",
        metavar="FILE.onnx",
        help="go on from this network: a file, or detector or pitch, which ship",
    )
    parser.add_argument(
        "--simulated", type=int, metavar="N", help="matches to render frames of (the recipe's: 260)"
    )
    parser.add_argument("--threads", type=int, help="default 2")
    parser.add_argument("--afresh", action="store_true", help="begin anew over what lies in --out")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from training.recipes import train

    _check_numbers(options)
    data = real_data(options.data)
    if not data.is_dir():
        raise InputError(f"no training data, {data} is no folder: give --data DIR")
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
    for name, (least, most) in LEGAL.items():
        value = getattr(options, name)
        if value is not None and not least <= value <= most:
            raise InputError(f"--{name} {value}: expected {least} to {most:,}")


def _start(given: str | None) -> Path | None:
    """The network to go on from: a file, or the name of a shipped one."""
    from infrastructure.planning import network_file

    if given is None:
        return None
    if found := network_file(given):
        return found
    raise InputError(f"--start {given}: no such file, nor a shipped network of that name")
