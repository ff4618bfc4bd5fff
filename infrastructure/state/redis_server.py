"""The Redis server that holds the state: connections, scripts, errors, and whether it is fit."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,  # noqa: A004
    OutOfMemoryError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004
)
from redis.retry import Retry

from domain.errors import ConfigurationError, ResourceError, StateLostError

OLDEST_VERSION = (7, 0)
_PAUSES_S = (0.05, 0.2, 0.5)
_SCRIPTS = files("infrastructure.state").joinpath("scripts")
_ALONE = ("begin", "connect")


def connect(url: str, **options: Any) -> redis.Redis:
    """A client whose commands are tried once.

    Raises:
        ConfigurationError: `url` is not one of a Redis.
    """
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=5,
            socket_connect_timeout=2,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **options,
        )
    except ValueError as error:
        raise ConfigurationError(
            f"the Redis URL is wrong ({error}): give redis://, rediss:// or unix://"
        ) from error


class RedisServer:
    """Runs the scripts; each is one command and atomic."""

    def __init__(self, url: str, prefix: str) -> None:
        self.place = place_of(url)
        self._prefix = prefix
        self._client = connect(url, redis_connect_func=self._greet)
        common = _SCRIPTS.joinpath("common.lua").read_text()
        self._scripts = {
            path.name.removesuffix(".lua"): self._client.register_script(
                path.read_text() if path.name.startswith(_ALONE) else common + path.read_text()
            )
            for path in _SCRIPTS.iterdir()
            if path.name.endswith(".lua") and path.name != "common.lua"
        }

    def _greet(self, connection: Any) -> None:
        """The usual handshake; then a Redis that was restarted begins a generation."""
        connection.on_connect()
        script = _SCRIPTS.joinpath("connect.lua").read_text()
        connection.send_command("EVAL", script, 0, self._prefix)
        connection.read_response()

    def run(self, script: str, *arguments: str | bytes | float, repeat: bool = True) -> Any:
        """The script's answer; with `repeat` it may be sent again where a connection broke.

        Raises:
            StateLostError: the marker of a usable store is gone.
            ResourceError: Redis cannot be reached, or refuses.
        """
        pauses = iter(_PAUSES_S if repeat else ())
        while True:
            try:
                return self._scripts[script](args=[self._prefix, *arguments])
            except (ConnectionError, TimeoutError) as error:
                pause = None if isinstance(error, AuthenticationError) else next(pauses, None)
                if pause is None or isinstance(error, TimeoutError):
                    raise self._unreachable(error) from error
                time.sleep(pause)
            except RedisError as error:
                raise self._refused(error) from error

    def _unreachable(self, error: RedisError) -> ResourceError:
        return ResourceError(f"Redis at {self.place} cannot be reached ({_line(error)})")

    def _refused(self, error: RedisError) -> ResourceError:
        if isinstance(error, ResponseError) and str(error).startswith("STATELOST"):
            return StateLostError(
                f"Redis at {self.place} has forgotten the state: it must be rebuilt from storage"
            )
        if isinstance(error, OutOfMemoryError):
            return ResourceError(
                f"Redis at {self.place} is out of memory: raise its maxmemory, or delete matches"
            )
        return ResourceError(f"Redis at {self.place} refuses ({_line(error)})")

    def close(self) -> None:
        self._client.close()


def place_of(url: str) -> str:
    """Where it is, without user and password."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    return f"{parts.hostname or 'localhost'}:{parts.port or 6379}"


def packed(arguments: Mapping[str, object]) -> bytes:
    """Named arguments as the scripts read them."""
    return msgspec.msgpack.encode(arguments)


def _line(error: RedisError) -> str:
    return " ".join(str(error).split())


@dataclass(frozen=True)
class ServerFacts:
    """What decides whether a Redis is fit to hold the state; `memory_limit` 0 means none."""

    place: str
    version: str
    run_id: str
    database: int
    policy: str
    append_only: bool
    memory_used: int
    memory_limit: int

    def refusals(self) -> tuple[str, ...]:
        """Why it must not be used; a line each."""
        found = []
        if tuple(int(part) for part in self.version.split(".")[:2]) < OLDEST_VERSION:
            found.append(f"Redis at {self.place} is version {self.version}: 7.0 or later is needed")
        if self.policy != "noeviction":
            found.append(
                f"Redis at {self.place} has maxmemory-policy {self.policy} and would forget parts "
                "of the state: set it to noeviction"
            )
        return tuple(found)

    def warnings(self) -> tuple[str, ...]:
        """What an operator should know; a line each."""
        if self.append_only:
            return ()
        return (
            f"Redis at {self.place} keeps no append-only file: after a restart the state is "
            "rebuilt from storage; set appendonly yes",
        )

    def shares_database_with(self, other: "ServerFacts") -> bool:
        return (self.run_id, self.database) == (other.run_id, other.database)


def check_server(url: str) -> ServerFacts:
    """Ask the Redis at `url` about itself.

    Raises:
        ResourceError: it cannot be reached.
    """
    client = connect(url)
    try:
        facts: Any = client.info()
    except RedisError as error:
        raise ResourceError(
            f"Redis at {place_of(url)} cannot be reached ({_line(error)})"
        ) from error
    finally:
        client.close()
    return ServerFacts(
        place_of(url),
        str(facts["redis_version"]),
        str(facts["run_id"]),
        int(client.connection_pool.connection_kwargs.get("db", 0)),
        str(facts["maxmemory_policy"]),
        bool(facts["aof_enabled"]),
        int(facts["used_memory"]),
        int(facts["maxmemory"]),
    )
