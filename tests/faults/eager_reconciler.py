"""A reconciler that never waits its turn: `python -m tests.faults.eager_reconciler`."""

import time

from domain.errors import FootAnalyticsError
from infrastructure.bootstrap.cluster import worker_hands
from infrastructure.celery_app import app
from infrastructure.invitations import Invitations
from infrastructure.settings import Settings

PAUSE_S = 0.05


def main() -> None:
    hands = worker_hands(Settings.load(), ["cpu"], 1, Invitations(app), lambda: False)
    while True:
        try:
            hands.reconciler._reconcile()
        except FootAnalyticsError as error:
            print(error, flush=True)
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
