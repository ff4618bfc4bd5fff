"""`python -m infrastructure.relay`: the process that publishes the log to Pulsar.

It ends by SIGTERM or SIGINT, after what it is sending was acknowledged. Exit code 0 when it was
told to stop, 1 when it cannot work, 2 when a setting is wrong.
"""

import signal
import sys
import threading

from domain.errors import FootAnalyticsError
from infrastructure.bootstrap import cluster as bootstrap
from infrastructure.settings import Settings, adopt_env_file
from infrastructure.telemetry.logs import configure


def main() -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Event.set takes a lock that the main thread, or a handler before, may hold just now.
        signal.signal(number, lambda *_: threading.Thread(target=stop.set).start())
    try:
        adopt_env_file()
        settings = Settings.load()
        configure(settings.ml_pipeline_log_level, "relay")
        bootstrap.relay(settings).run(stop)
    except FootAnalyticsError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
