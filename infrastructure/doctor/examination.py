"""The checks in their order: this machine, then the cluster where one is configured."""

import os
import socket
from collections.abc import Iterator, Mapping
from functools import partial

from infrastructure.doctor.findings import Check, Finding, Note, findings
from infrastructure.settings import Settings, adopt_env_file

_DEFAULT_REDIS = ("127.0.0.1", 6379)


def examine(*, deep: bool = False) -> Iterator[Finding]:
    """What there is to say, as it is found. With `deep` each network is run once."""
    adopt_env_file()
    for name, check in _of_this_machine(deep).items():
        yield from findings(name, check)
    if not _is_cluster():
        yield Finding(
            "cluster",
            "skipped",
            "REDIS_URL is not set and nothing listens on the default: only this machine was "
            "looked at, which is all that footanalytics analyze needs",
        )
        return
    found = list(findings("settings", _settings_are_legal))
    yield from found
    if not found:
        yield from _of_the_cluster()


def _of_this_machine(deep: bool) -> Mapping[str, Check]:
    from infrastructure.doctor import machine

    return {
        "python": machine.python,
        "ffmpeg": machine.ffmpeg,
        "cpu": machine.cpu,
        "gpu": machine.gpu,
        "models": partial(machine.models, deep),
        "disk": machine.disk,
    }


def _of_the_cluster() -> Iterator[Finding]:
    from infrastructure.doctor.cluster import ClusterChecks

    with ClusterChecks(Settings.load()) as checks:
        for name, check in checks.all().items():
            yield from findings(name, check)


def _settings_are_legal() -> Iterator[Note]:
    """Nothing to say unless they are not."""
    Settings.load()
    yield from ()


def _is_cluster() -> bool:
    if os.environ.get("REDIS_URL"):
        return True
    try:
        with socket.create_connection(_DEFAULT_REDIS, timeout=0.5):
            return True
    except OSError:
        return False
