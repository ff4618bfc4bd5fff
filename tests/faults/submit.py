"""Submits the match of the scenarios, as the API does: `python -m tests.faults.submit KEY`."""

import sys

from domain.configuration import ProcessingConfiguration
from infrastructure.bootstrap import cluster as bootstrap
from infrastructure.celery_app import app
from infrastructure.invitations import Invitations
from infrastructure.settings import Settings
from tests.faults.rig import TRACKED


def main() -> None:
    service = bootstrap.service(bootstrap.connect(Settings.load()), Invitations(app))
    configuration = ProcessingConfiguration.parse(dict(TRACKED))
    service.submit(configuration, owner="club", idempotency_key=sys.argv[1])


if __name__ == "__main__":
    main()
