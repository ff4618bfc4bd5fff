"""`footanalytics bench`: speed, as ratios, with the ceilings beside it."""

import argparse
import json
import sys
from pathlib import Path

from api.commands.analyze import configured, of_inputs


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="video files of a match")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration, YAML or JSON")
    parser.add_argument("--set", action="append", default=[], metavar="STAGE.OPTION=VALUE")
    parser.add_argument("--processes", type=int, metavar="N", help="default: one a core")
    parser.add_argument("--seconds", type=float, default=5.0, help="spent on each network alone")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from infrastructure.benchmark import measure
    from infrastructure.bootstrap.local import analyze_locally

    given = configured(options.config, options.set)
    of_inputs(given, options.inputs)
    print("measuring: all of it, decoding alone, each network alone", file=sys.stderr)
    with given.named_in_errors():
        figures = measure(analyze_locally, given.values, options.processes, options.seconds)
    if options.json:
        print(json.dumps(figures, indent=2))
        return 0
    for name in ("decode_fps", "inference_fps", "pipeline_fps", "share_of_ceiling"):
        print(f"{name:>26} {figures[name]}")
    print(f"{'share_of_shared_ceiling':>26} {figures['share_of_shared_ceiling']}")
    for stage, seconds in sorted(figures["stage_seconds"].items(), key=lambda item: -item[1]):
        print(f"{stage:>26} {1000 * seconds / figures['frames']:.2f} ms a frame")
    return 0
