"""A circuit breaker around publishing, with waits that grow and a word at each change."""

import logging
import random
from collections.abc import Callable
from typing import TypeVar

import pybreaker

T = TypeVar("T")
_log = logging.getLogger(__name__)
_NEVER_BY_ITSELF_S = 1e9


class Circuit(pybreaker.CircuitBreakerListener):
    """Opens at the first failure; the call after `wait_s` is the trial.

    Whoever calls measures the wait: the breaker's own would go by the wall clock, which moves.
    """

    def __init__(self, first_wait_s: float = 0.5, longest_wait_s: float = 15.0) -> None:
        self._first_wait_s = first_wait_s
        self._longest_wait_s = longest_wait_s
        self._failures = 0
        self._said: set[str] = set()
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=1,
            reset_timeout=_NEVER_BY_ITSELF_S,
            listeners=[self],
            throw_new_error_on_trip=False,
        )

    @property
    def closed(self) -> bool:
        return self._breaker.current_state == pybreaker.STATE_CLOSED

    def call(self, function: Callable[[], T]) -> T:
        """What `function` returns or raises."""
        if not self.closed:
            self._breaker.half_open()
        return self._breaker.call(function)

    def wait_s(self) -> float:
        """How long to wait now: twice as long each time, up to a limit, and never quite equal."""
        doubled = self._first_wait_s * 2.0 ** min(self._failures - 1, 16)
        return min(doubled, self._longest_wait_s) * random.uniform(0.5, 1.0)  # noqa: S311

    def failure(self, cb: pybreaker.CircuitBreaker, exc: BaseException) -> None:  # noqa: ARG002
        """Say each reason once, not each try."""
        self._failures += 1
        if str(exc) not in self._said:
            self._said.add(str(exc))
            _log.warning("%s; trying again, events wait in the log", exc)

    def success(self, cb: pybreaker.CircuitBreaker) -> None:  # noqa: ARG002
        if self._failures:
            _log.info("publishing again after %d failed tries", self._failures)
        self._failures = 0
        self._said.clear()
