"""`python -m infrastructure.relay`: the process that publishes the log to Pulsar.

It ends by SIGTERM or SIGINT, after what it is sending was acknowledged. Exit code 0 when it was
told to stop, 1 when it cannot work, 2 when a setting is wrong.
"""

import logging
import signal
import sys
import threading

from domain.errors import FootAnalyticsError
from infrastructure.bootstrap import cluster as bootstrap
from infrastructure.settings import Settings, adopt_env_file


def main() -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        adopt_env_file()
        settings = Settings.load()
        logging.basicConfig(
            level=settings.ml_pipeline_log_level.upper(),
            format="%(asctime)s %(levelname)s %(message)s",
        )
        bootstrap.relay(settings).run(stop)
    except FootAnalyticsError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
