"""Log lines: one form for all processes, JSON where nobody reads along on a terminal.

Code logs by the standard library, as libraries do; fields that are bound while a request or a job
lasts (structlog.contextvars) come with every line.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from infrastructure.settings import masked

_QUIET = ("httpx", "httpcore", "urllib3", "botocore", "aiobotocore", "s3fs", "fsspec", "asyncio")
_OF_EACH_INVITATION = (
    "celery.beat",
    "celery.worker.strategy",
    "celery.worker.request",
    "celery.app.trace",
)
_OF_SERVERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "celery", "celery.task")


def configure(level: str, part: str, stream: TextIO | None = None) -> None:
    """Send all that is logged in this process to `stream` (else stderr), from `level` on.

    `part` names the process: api, worker, beat, relay, progress.
    """
    stream = stream or sys.stderr
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        lambda _logger, _method, fields: {"part": part, **fields},
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *(_for_people(stream) if stream.isatty() else _for_machines()),
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    _adopt_others(root.level)


def _adopt_others(level: int) -> None:
    """What servers log comes our way too; what clients log is for debugging alone."""
    for name in _OF_SERVERS:
        other = logging.getLogger(name)
        other.handlers, other.propagate = [], True
    for name in (*_QUIET, *_OF_EACH_INVITATION):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.getLogger("opentelemetry").setLevel(max(level, logging.ERROR))


def _for_people(stream: TextIO) -> list[Any]:
    return [_without_secrets, structlog.dev.ConsoleRenderer(colors=stream.isatty())]


def _for_machines() -> list[Any]:
    return [
        structlog.processors.format_exc_info,
        _without_secrets,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
    ]


def _without_secrets(
    _logger: object, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Addresses lose their passwords and tokens, wherever they are named."""
    for name, value in fields.items():
        if isinstance(value, str) and "://" in value:
            fields[name] = masked(value)
    return fields
