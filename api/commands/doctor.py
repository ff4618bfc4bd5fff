"""`footanalytics doctor`: all that a run or a cluster needs, a line each."""

import argparse
import dataclasses
import json


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--deep", action="store_true", help="also load and run each network once")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from infrastructure.doctor import examine, is_healthy

    found = []
    for finding in examine(deep=options.deep):
        found.append(finding)
        if not options.json:
            print(f"{finding.level:8}{finding.check:10}{finding.text}", flush=True)
    healthy = is_healthy(found)
    if options.json:
        checks = [dataclasses.asdict(finding) for finding in found]
        print(json.dumps({"healthy": healthy, "checks": checks}, indent=2))
    return 0 if healthy else 1
