"""Messages that wake workers. They carry no work: the state says what is next."""

import logging
from collections.abc import Mapping

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from application.state import PRIORITIES, Priority
from domain.grid import Queue

_log = logging.getLogger(__name__)
_BROKER_ERRORS = (OperationalError, OSError, RedisError)
"""The last: a broker that answers, and refuses, such as one that is out of memory."""
WORK = "footanalytics.work"
STEPS: Mapping[Priority, int] = {"urgent": 0, "high": 3, "normal": 6, "low": 9}
"""The levels at which the broker keeps lists of their own; the lowest number is served first."""


class Invitations:
    """Sends invitations through `app`, and counts those that wait."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def send(self, queue: Queue, priority: Priority, count: int) -> None:
        """Invite workers of the queue `count` times.

        A broker that is away is no error: the reconciler sends what is missing later.
        """
        try:
            with self._app.producer_or_acquire() as producer:
                for _ in range(count):
                    self._app.send_task(
                        WORK,
                        args=[queue],
                        queue=queue,
                        priority=STEPS[priority],
                        producer=producer,
                        retry=False,
                    )
        except _BROKER_ERRORS as error:
            _log.warning("no invitation sent: %s", error)

    def waiting(self, queue: Queue) -> Mapping[Priority, int]:
        """How many wait in the broker, by priority; none where it is away."""
        try:
            with self._app.connection_for_write() as connection, connection.channel() as channel:
                return {name: self._length(channel, queue, name) for name in PRIORITIES}
        except _BROKER_ERRORS as error:
            _log.warning("the broker does not say what waits: %s", error)
            return {}

    def _length(self, channel: object, queue: Queue, priority: Priority) -> int:
        """Kombu keeps the list of each priority under a name of its own."""
        name = channel._q_for_pri(queue, STEPS[priority])  # type: ignore[attr-defined]
        return int(channel.client.llen(name))  # type: ignore[attr-defined]
