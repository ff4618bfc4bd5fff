"""Fixtures that many tests share: real footage, real servers."""

import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest
import redis

from deploy.servers import NoServerError, PulsarServer, RedisServer, Server
from tests.faults import NEEDS, cannot_have
from tests.faults.proxy import Proxy

S = TypeVar("S", bound=Server)
_BESIDE = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real footage; the test is skipped only where there is none."""
    folder = Path(os.environ.get("FOOTANALYTICS_REAL_DATA", _BESIDE))
    if not folder.is_dir():
        pytest.skip(f"no real footage at {folder}: set FOOTANALYTICS_REAL_DATA")
    return folder


def _started(server: S, until: ExitStack) -> S:
    """Starts it, stops it with `until`; without it the test is skipped (fails in CI)."""
    try:
        server.start()
    except NoServerError as error:
        cannot_have(server.name, error)
    until.callback(server.stop)
    return server


@pytest.fixture(scope="session")
def _shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with ExitStack() as until:
        yield _started(RedisServer(tmp_path_factory.mktemp("redis")), until)


@pytest.fixture
def redis_url(_shared_redis: RedisServer) -> str:
    """An empty database of the session's Redis; may not be stopped or configured."""
    with redis.Redis.from_url(_shared_redis.url) as client:
        client.flushall()
    return _shared_redis.url


@pytest.fixture
def broker_url(redis_url: str) -> str:
    """An empty database for Celery's messages, beside that of `redis_url`."""
    return redis_url.removesuffix("/0") + "/1"


@pytest.fixture
def new_redis(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Starts Redis servers of the test's own: `new_redis(maxmemory="4mb")`."""
    with ExitStack() as until:
        yield lambda **config: _started(
            RedisServer(tmp_path / f"redis-{secrets.token_hex(4)}", **config), until
        )


@pytest.fixture
def redis_server(new_redis: Callable[..., RedisServer]) -> RedisServer:
    """A Redis of the test's own, to kill, pause and configure."""
    return new_redis()


@pytest.fixture(scope="session")
def pulsar_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulsarServer]:
    """The session's Pulsar; may not be stopped."""
    with ExitStack() as until:
        yield _started(PulsarServer(tmp_path_factory.mktemp("pulsar")), until)


@pytest.fixture(scope="session")
def pulsar(pulsar_broker: PulsarServer) -> str:
    """The service URL of the session's Pulsar. Its topics are shared: see `pulsar_topic`."""
    return pulsar_broker.url


@pytest.fixture
def pulsar_topic() -> str:
    """A topic that no other test uses."""
    return f"persistent://public/default/test-{secrets.token_hex(8)}"


@pytest.fixture
def pulsar_server(tmp_path: Path) -> Iterator[PulsarServer]:
    """A Pulsar of the test's own, to kill and pause; takes 6 s and 1.3 GB."""
    with ExitStack() as until:
        yield _started(PulsarServer(tmp_path / "pulsar"), until)


@pytest.fixture
def proxied_pulsar(tmp_path: Path) -> Iterator[tuple[PulsarServer, Proxy]]:
    """A Pulsar of the test's own, whose `url` leads through the proxy."""
    with ExitStack() as until:
        server = PulsarServer(tmp_path / "pulsar")
        proxy = until.enter_context(Proxy(("127.0.0.1", server.port)))
        server.advertised_port = proxy.port
        yield _started(server, until), proxy


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Last lines: how many tests lacked something that this machine does not have, and why."""
    reasons = Counter(
        str(report.longrepr[2]).removeprefix(f"Skipped: {NEEDS}")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and f"Skipped: {NEEDS}" in report.longrepr[2]
    )
    for reason, count in reasons.most_common():
        terminalreporter.write_line(
            f"skipped: {count} {'test needs' if count == 1 else 'tests need'} {reason}"
        )
