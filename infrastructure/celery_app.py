"""The Celery application, of workers and beat: `python -m celery -A infrastructure.celery_app ...`.

Celery delivers invitations and is never the record: a message that is lost, doubled or old does no
harm. So one kind of message is enough for all jobs, and none carries a job's arguments.
"""

import contextlib
import logging
import os
import resource
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kombu
from billiard.process import current_process
from celery import Celery, signals

from domain.errors import FootAnalyticsError, ResourceError, StateLostError
from domain.grid import Queue
from infrastructure.inference.device import device_broken
from infrastructure.invitations import STEPS, WORK, Invitations
from infrastructure.settings import Settings, adopt_env_file
from infrastructure.telemetry.logs import configure
from infrastructure.telemetry.serving import serve, worker_registry
from infrastructure.telemetry.traces import flush
from infrastructure.telemetry.work_metrics import forget, share

_log = logging.getLogger(__name__)
_QUEUES, _STOP = "FOOTANALYTICS_WORKER_QUEUES", "FOOTANALYTICS_WORKER_STOP"
_PROCESSES = "FOOTANALYTICS_WORKER_PROCESSES"
_TURN_S = 2.0
_PAGE = resource.getpagesize()
RECONCILE, COLLECT = "footanalytics.reconcile", "footanalytics.collect"


def _configuration() -> Mapping[str, Any]:
    """Read when Celery first needs it, so that importing this module reads nothing."""
    settings = _settings()
    return {
        "broker_url": settings.celery_broker_url,
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {
            "priority_steps": list(STEPS.values()),
            "queue_order_strategy": "priority",
            "visibility_timeout": 3600,
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        "task_queues": [_queue(name) for name in ("cpu", "gpu")],
        "task_default_queue": "cpu",
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": True,
        "worker_max_memory_per_child": settings.worker_memory_limit_mb * 1024 or None,
        "worker_proc_alive_timeout": 60.0,
        "beat_scheduler": "celery.beat:Scheduler",
        "beat_schedule": {
            "reconcile": _every(5, RECONCILE),
            "collect": _every(600, COLLECT),
        },
    }


def _queue(name: str) -> kombu.Queue:
    """A queue for what is sent to its own name; Celery would bind all to the default."""
    return kombu.Queue(name, kombu.Exchange(name), routing_key=name)


def _settings() -> Settings:
    adopt_env_file()
    try:
        return Settings.load()
    except FootAnalyticsError as error:
        sys.exit(f"footanalytics: {error}")


def _every(seconds: float, task: str) -> Mapping[str, Any]:
    """Dropped when nobody took it before the next one comes."""
    options = {"queue": "cpu", "priority": STEPS["urgent"], "expires": seconds}
    return {"task": task, "schedule": seconds, "options": options}


app = Celery("footanalytics")
app.add_defaults(_configuration)


class _Process:
    """What this process holds between tasks; made after any fork, with the first use."""

    hands: Any = None
    early = False

    @classmethod
    def get(cls) -> Any:
        if cls.hands is None:
            from infrastructure.bootstrap.cluster import worker_hands

            queues: list[Queue] = [
                queue for queue in ("gpu", "cpu") if queue in os.environ.get(_QUEUES, "gpu,cpu")
            ]
            processes = int(os.environ.get(_PROCESSES, "1"))
            cls.hands = worker_hands(
                Settings.load(), queues, processes, Invitations(app), _stopping
            )
        return cls.hands


@app.task(name=WORK)
def work(queue: Queue) -> None:
    """Do what the state says is next in the queue, for a short turn.

    Who serves both queues takes tables first, so that results stream out while video is decoded.
    """
    hands = _Process.get()
    until = time.monotonic() + _TURN_S
    queues = [each for each in ("cpu", "gpu") if each == queue or each in hands.queues]
    first = queues[: queues.index(queue) + 1]
    try:
        while not _stopping() and any(hands.worker.take(each) for each in first):
            if time.monotonic() > until:
                break
    except StateLostError:
        hands.reconciler.tick()
    except ResourceError as error:  # Redis is away; the reconciler will invite again
        _log.warning("%s", error)
        time.sleep(1)
    _leave_if_unfit(hands.memory_limit_mb)


@app.task(name=RECONCILE)
def reconcile() -> None:
    """Beat's share in reconciling; the workers' hearts do the same between jobs."""
    with contextlib.suppress(ResourceError):
        _Process.get().reconciler.tick()


@app.task(name=COLLECT)
def collect() -> None:
    """Collect what nobody needs any more, once an hour at most."""
    with contextlib.suppress(ResourceError):
        _Process.get().collect()


@signals.celeryd_after_setup.connect
def _tell_children(instance: Any, **_: Any) -> None:
    """What the parent knows and its children, forked or spawned, must know too."""
    os.environ[_QUEUES] = ",".join(instance.app.amqp.queues.consume_from)
    os.environ[_STOP] = str(Path(tempfile.gettempdir()) / f"footanalytics-stop-{uuid.uuid4().hex}")
    if _settings().ml_pipeline_metrics_port:
        share()
    os.environ[_PROCESSES] = "1" if _Process.early else str(instance.concurrency)
    if _Process.early:
        _live()


def _live() -> None:
    """Say that this process lives; one that cannot work must not take invitations."""
    try:
        _Process.get().heart.start()
    except Exception as error:  # Celery would log it and go on
        print(f"footanalytics: the worker cannot start: {error}", file=sys.stderr)
        os._exit(1)


@signals.worker_init.connect
def _refuse_what_cannot_work(**_: Any) -> None:
    """Look at the servers before the first job; what is wrong is said in one line."""
    from infrastructure.bootstrap.cluster import check_cluster

    try:
        for text in check_cluster(Settings.load()):
            _log.warning("%s", text)
    except FootAnalyticsError as error:
        print(f"footanalytics: {error}", file=sys.stderr)
        os._exit(error.exit_code)


@signals.setup_logging.connect
def _log_as_all_do(**_: Any) -> None:
    """Celery leaves the log to us; the level is ours too."""
    part = "beat" if "beat" in sys.argv else "worker"
    configure(_settings().ml_pipeline_log_level, part)


@signals.worker_ready.connect
def _serve_metrics(**_: Any) -> None:
    """Once for all processes of this worker, after they were forked."""
    settings = _settings()
    if settings.ml_pipeline_metrics_port:
        serve(worker_registry(share()), settings)


@signals.worker_process_shutdown.connect
def _send_what_waits(**_: Any) -> None:
    flush()


@signals.worker_process_init.connect
def _start(**_: Any) -> None:
    """In each process that runs tasks: say that it lives.

    A solo worker is told so before its queues are known.
    """
    _Process.early = _QUEUES not in os.environ
    if not _Process.early:
        _Process.hands = None  # the parent's, after a fork
        _live()


@signals.worker_shutting_down.connect
def _stop(**_: Any) -> None:
    """Give the job under way back; the children see the file."""
    if place := os.environ.get(_STOP):
        Path(place).touch()


@signals.worker_shutdown.connect
def _leave_nothing(**_: Any) -> None:
    """The children are gone."""
    if place := os.environ.get(_STOP):
        Path(place).unlink(missing_ok=True)
    forget()


def _stopping() -> bool:
    return Path(os.environ.get(_STOP, "/nonexistent")).exists()


def _leave_if_unfit(limit_mb: int) -> None:
    """End a process that its pool, or whoever supervises a solo worker, should replace."""
    if device_broken():
        _log.error("ends: its GPU failed, and CUDA refuses further work of such a process")
        _end_this_process()
    if limit_mb and _is_solo():  # a pool replaces its own children
        resident_mb = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE // 2**20
        if resident_mb > limit_mb:
            _log.warning("ends: grew to %d MB, WORKER_MEMORY_LIMIT_MB=%d", resident_mb, limit_mb)
            _end_this_process()


def _end_this_process() -> None:
    """After this task a solo worker shuts down in order; a child is replaced at once."""
    if _is_solo():
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        flush()
        os._exit(1)


def _is_solo() -> bool:
    return bool(current_process().name == "MainProcess")
