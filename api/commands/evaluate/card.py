"""`footanalytics evaluate card`: every figure on one page, and the quick form that CI compares."""

import argparse
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.commands.real_data import DEFAULT, real_data
from domain.errors import InputError

if TYPE_CHECKING:
    from evaluation.card.measures import Card

OUT = Path("docs/accuracy")
_NETWORKS = ("player_detection", "pitch_observation")


def configure(kinds: Any) -> None:
    """Add the subcommand `card` to the parsers of `evaluate`."""
    parser: argparse.ArgumentParser = kinds.add_parser(
        "card", help="the accuracy card: everything above, on one page"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"the page goes here: {OUT}")
    parser.add_argument("--quick", action="store_true", help="a part of it, in a minute or two")
    parser.add_argument("--check", type=Path, metavar="FILE", help="fail where a figure dropped")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the numbers to check")
    parser.add_argument(
        "--data", type=Path, metavar="DIR",
        help=f"real material ({DEFAULT})",
    )  # fmt: skip
    parser.add_argument("--cache", type=Path, metavar="DIR", help="rendered and analysed matches")
    parser.add_argument(
        "--private", type=Path, metavar="DIR",
        help="pictures of real footage go here (default: in the cache)",
    )  # fmt: skip
    parser.add_argument(
        "--only", default="", metavar="A,B", help="these sections alone, as in sweep"
    )
    parser.add_argument("--set", action="append", default=[], metavar="STAGE.OPTION=VALUE")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from evaluation.card.page import refuse_repository, write_card

    _check_use(options)
    scratch = options.cache or _default_cache()
    private = options.private or scratch / "private"
    for folder in (scratch, private):
        refuse_repository(folder)
    if options.write:
        return _write(options, scratch)
    card = _taken(options, scratch, options.set)
    if options.out:
        write_card(card, options.out, private)
        _say(f"{options.out / 'README.md'}; pictures of real footage: {private}")
    return _checked(card, options.check) if options.check else 0


def _check_use(options: argparse.Namespace) -> None:
    if not (options.out or options.check or options.write):
        raise InputError(f"nothing to do: give --out {OUT}, or --quick with --check or --write")
    if (options.check or options.write) and not options.quick:
        raise InputError("--check and --write compare the quick form: add --quick")


def _checked(card: "Card", committed: Path) -> int:
    """1 where a figure dropped, with a line for each on stdout."""
    from evaluation.card.check import compare, read_committed

    verdict = compare(card, read_committed(committed))
    for line in verdict.notes:
        _say(line)
    for line in verdict.drops:
        print(line)
    if not verdict.compared:
        raise InputError(f"{committed}: none of its figures could be compared")
    _say(f"{len(verdict.drops)} of {verdict.compared} figures dropped beyond their noise")
    if verdict.drops:
        _say(f"where that is meant (the simulator, the material): --quick --write {committed}")
    return 1 if verdict.drops else 0


def _write(options: argparse.Namespace, scratch: Path) -> int:
    from evaluation.card.check import commit, write_numbers

    precisions = _precisions()
    runs = []
    for precision in precisions:
        _say(f"the quick form in {precision}")
        chosen = [f"{network}.precision={precision}" for network in _NETWORKS]
        runs.append(_taken(options, scratch, [*options.set, *chosen]))
    lacking = {section.title for card in runs for section in card.missing}
    if lacking:
        raise InputError(f"{options.write}: not written without {', '.join(sorted(lacking))}")
    write_numbers(commit(runs, precisions), options.write)
    _say(f"{options.write}: written; commit it")
    return 0


def _taken(options: argparse.Namespace, scratch: Path, settings: Sequence[str]) -> "Card":
    from api.commands.evaluate.product import product
    from evaluation.card.sections import FULL, QUICK, take

    names = [name for name in options.only.split(",") if name]
    plan = QUICK if options.quick else FULL
    asked = product(settings, scratch)
    return take(plan, real_data(options.data), asked, machine(), _say, names)


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "footanalytics" / "card"


def _precisions() -> Sequence[str]:
    from infrastructure.inference.machine import Machine

    return ("f32", "bf16") if Machine.here().bf16 else ("f32",)


def machine() -> str:
    """The machine in words: cores, processor, and how the networks are run."""
    from infrastructure.inference.machine import Machine

    cores = len(os.sched_getaffinity(0))
    precision = "bf16" if Machine.here().bf16 else "f32"
    return f"{cores} cores of {_processor()}, OpenVINO {precision}, Python {_python()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    facts: Mapping[str, str] = {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in reversed(lines))
    }
    return facts.get("model name") or platform.machine()


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
