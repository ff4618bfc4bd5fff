"""Runs a module as the main program, in a process that kills itself at a chosen point, once.

    python -m tests.faults.crash POINT N FLAG MODULE [ARGUMENT]...

SIGKILL comes when a process reaches the point for the N-th time and is the first to make the file
FLAG: of many processes with one flag one dies.
"""

import faulthandler
import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from application import reconciler


class _Countdown:
    def __init__(self, count: int, flag: Path) -> None:
        self._left = count
        self._flag = flag
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0 and self._is_first():
                os.kill(os.getpid(), signal.SIGKILL)

    def _is_first(self) -> bool:
        try:
            self._flag.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def _before(kind: Any, name: str, count: Callable[[], None]) -> None:
    method = getattr(kind, name)

    def counted(*arguments: Any, **named: Any) -> Any:
        count()
        return method(*arguments, **named)

    setattr(kind, name, counted)


def _after(
    kind: Any,
    name: str,
    count: Callable[[], None],
    counts: Callable[[Any], bool] = lambda _: True,
) -> None:
    method = getattr(kind, name)

    def counted(*arguments: Any, **named: Any) -> Any:
        result = method(*arguments, **named)
        if counts(result):
            count()
        return result

    setattr(kind, name, counted)


def _aim(point: str, count: Callable[[], None]) -> None:
    """Put the countdown where the point is."""
    from application.checkpoints import Checkpoints
    from application.hold import Hold
    from application.ledger import Ledger
    from application.reconciler import Reconciler
    from application.state import ADMISSION
    from infrastructure.state.redis import RedisStateStore as State

    places: dict[str, Callable[[], None]] = {
        "nowhere": lambda: None,
        "job claimed": lambda: _after(
            State, "claim", count, lambda lease: lease and lease.job != ADMISSION
        ),
        "frames seen": lambda: _before(Hold, "check", count),
        "artifacts written": lambda: _before(Checkpoints, "keep", count),
        "checkpoint kept": lambda: _after(Checkpoints, "keep", count),
        "before commit": lambda: _before(State, "commit", count),
        "after commit": lambda: _after(State, "commit", count),
        "admission claimed": lambda: _after(
            State, "claim", count, lambda lease: lease and lease.job == ADMISSION
        ),
        "plan kept": lambda: _before(State, "admit", count),
        "match admitted": lambda: _after(State, "admit", count),
        "before renewal": lambda: _before(State, "renew", count),
        "after renewal": lambda: _after(State, "renew", count),
        "leases expired": lambda: _after(State, "expire", count),
        "worker registered": lambda: _after(State, "register", count),
        "match completed": lambda: _after(
            State, "commit", count, lambda progress: progress.state == "completed"
        ),
        "results kept": lambda: _after(Ledger, "keep_results", count),
        "state begun": lambda: _after(State, "begin", count),
        "reconciling": lambda: _before(Reconciler, "tick", count),
        "submission kept": lambda: _after(Ledger, "keep_first", count),
        "before submission": lambda: _before(Ledger, "keep_first", count),
        "submitted": lambda: _after(State, "submit", count),
        **_relay_places(count),
    }
    places[point]()


def _relay_places(count: Callable[[], None]) -> dict[str, Callable[[], None]]:
    def sending() -> None:
        import pulsar

        _after(pulsar.Producer, "send_async", count)

    def sent() -> None:
        from application.outbox import Outbox

        _before(Outbox, "done", count)

    def position_kept() -> None:
        _after_read_up_to(count)

    return {
        "message handed over": sending,
        "messages acknowledged": sent,
        "position kept": position_kept,
    }


def _after_read_up_to(count: Callable[[], None]) -> None:
    from infrastructure.state.redis import RedisStateStore

    _after(RedisStateStore, "read_up_to", count)


def main() -> None:
    faulthandler.register(signal.SIGUSR2)  # where it stands, when it does not end
    point, number, flag, module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    if "ORPHAN_S" in os.environ:
        reconciler._ORPHAN_S = float(os.environ["ORPHAN_S"])
    _aim(point, _Countdown(int(number), Path(flag)))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
