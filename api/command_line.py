"""The command `footanalytics`: reads the arguments, calls the command, and reports errors.

Every command's module is imported only when it is called, so that `--help` answers at once.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from domain.errors import FootAnalyticsError, ResourceError

PACKAGES = ("domain", "application", "infrastructure", "stages", "training", "simulation")
COMMANDS = {
    "demo": "render a short match, analyse it and show the result",
    "analyze": "analyse a match: video files in order, a folder of images, or tracking data",
    "status": "show how far a match on a running service is",
    "results": "list or fetch what a match on a running service left",
    "cancel": "stop a match on a running service",
    "retry": "try a failed or cancelled match on a running service again",
    "list": "list the matches of a running service",
    "serve": "run the service on this machine: API and workers, without servers",
    "simulate": "make a match: video, and the truth in the same tables",
    "evaluate": "score against truth; `evaluate card` puts every figure on one page",
    "train": "train a shipped model again: detector or pitch",
    "export-model": "write a network as ONNX, OpenVINO, TorchScript or TensorRT, or in integers",
    "bench": "measure speed, as ratios with the ceilings beside it",
    "keys": "make, list, replace or end API keys, where the service keeps its data",
    "doctor": "check everything that a run or a cluster needs, a line each",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 failed, 2 bad usage or input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        refuse_strangers()
        parser = _parser(given)
        options = parser.parse_args(given)
        if not hasattr(options, "run"):
            parser.print_help()
            return 2
        return int(options.run(options) or 0)
    except FootAnalyticsError as error:
        print(f"footanalytics: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(
            "footanalytics: interrupted; the same command again takes what is done and goes on",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:
        return 1


def refuse_strangers(packages: Sequence[str] = PACKAGES) -> None:
    """Make sure that our packages, whose names are plain words, are ours.

    Raises:
        ResourceError: another distribution in this environment has a package of such a name.
    """
    ours = Path(__file__).resolve().parent.parent
    for name in packages:
        spec = find_spec(name)
        if spec is None or spec.origin is None or Path(spec.origin).resolve().parents[1] != ours:
            raise ResourceError(
                f"the package {name} here is not ours ({spec.origin if spec else 'missing'}): "
                f"install footanalytics into an environment of its own"
            )


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, with only the chosen command's options filled in."""
    parser = argparse.ArgumentParser(
        prog="footanalytics",
        description="Turns a football match video into tracking data, events, formations, metrics.",
    )
    parser.add_argument("--version", action="version", version=f"footanalytics {_version()}")
    subparsers = parser.add_subparsers(metavar="COMMAND")
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(
            name, help=summary, description=summary.capitalize() + "."
        )
        if name in arguments:
            importlib.import_module(f"api.commands.{name.replace('-', '_')}").configure(subparser)
    return parser


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("footanalytics")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
