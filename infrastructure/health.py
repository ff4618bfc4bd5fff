"""`python -m infrastructure.health api|worker|beat|relay`: exit code 0 where that one serves.

For the health checks of containers, which run it beside the process that they ask about.
"""

import http.client
import socket
import sys
import time
from collections.abc import Callable, Mapping

from domain.errors import FootAnalyticsError, ResourceError
from infrastructure.settings import Settings, adopt_env_file

_STALLED_S = 120.0


def api(settings: Settings) -> None:
    """The API answers that it is alive."""
    connection = http.client.HTTPConnection("127.0.0.1", settings.ml_pipeline_port, timeout=5)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise ResourceError(f"the API does not answer ({error})") from error
    finally:
        connection.close()
    if status != http.client.OK:
        raise ResourceError(f"the API answers {status}")


def worker(settings: Settings) -> None:
    """A worker process of this machine said lately that it lives."""
    from infrastructure.state.redis import RedisStateStore

    state = RedisStateStore(settings.redis_url)
    try:
        here = f"{socket.gethostname()}:"
        if not any(each.worker.startswith(here) for each in state.workers()):
            raise ResourceError("no worker process of this machine is alive")
    finally:
        state.close()


def beat(settings: Settings) -> None:
    """Beat can send: its broker answers."""
    from kombu import Connection
    from kombu.exceptions import OperationalError

    options = {"socket_connect_timeout": 2, "socket_timeout": 5}
    with Connection(settings.celery_broker_url, transport_options=options) as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)
        except OperationalError as error:
            raise ResourceError(f"the broker cannot be reached ({error})") from error


def relay(settings: Settings) -> None:
    """What waits for Pulsar has not waited for long."""
    from application.outbox import RELAY
    from infrastructure.state.redis import RedisStateStore

    state = RedisStateStore(settings.redis_url)
    try:
        waiting = state.log(state.readers().get(RELAY, 0), limit=1)
    finally:
        state.close()
    if waiting and time.time() - waiting[0].time > _STALLED_S:
        raise ResourceError("events wait: the relay stalls, or Pulsar is away")


PARTS: Mapping[str, Callable[[Settings], None]] = {
    "api": api,
    "worker": worker,
    "beat": beat,
    "relay": relay,
}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in PARTS:
        print(f"usage: python -m infrastructure.health {'|'.join(PARTS)}", file=sys.stderr)
        return 2
    try:
        adopt_env_file()
        PARTS[arguments[0]](Settings.load())
    except FootAnalyticsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
