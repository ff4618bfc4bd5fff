"""`footanalytics cancel`: stop a match on a running service."""

import argparse

from api.commands import remote


def configure(parser: argparse.ArgumentParser) -> None:
    remote.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    path = remote.of_pipeline(options.pipeline_id, "cancel")
    with remote.client(options.url) as http:
        record = remote.ask(http, "POST", path)
    remote.show(record, remote.one_line(record), as_json=options.json)
    return 0
