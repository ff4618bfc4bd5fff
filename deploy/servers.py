"""The real Redis and Apache Pulsar, on free ports of this machine, for developers and tests.

    python deploy/servers.py --dir servers      (or: make servers)

starts a Redis for the state, a Redis for Celery's messages and a Pulsar, prints the environment
that points at them and runs until Ctrl-C. All that they write stays in the folder, and they find
it there when they are started again. Needs the standard library only.
"""

import argparse
import contextlib
import fcntl
import functools
import http.client
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

PULSAR_VERSION = "4.0.8"  # its checksum is in fetch_pulsar.sh
RETENTION_DAYS = 7
LOOPBACK = "127.0.0.1"


class NoServerError(Exception):
    """A server cannot be had on this machine; the message is one line that says what to do."""


def program(name: str, packages: str) -> str:
    """The path of `name`; else an error that names the Debian `packages` which bring it."""
    found = shutil.which(name)
    if found is None:
        raise NoServerError(f"{name} is missing: sudo apt-get install -y {packages}")
    return found


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on.

    It lies below the ports that Linux gives to outgoing connections: a client which keeps
    reconnecting to a killed server there would one day be given the server's own port.
    """
    for _ in range(1000):
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as attempt, contextlib.suppress(OSError):
            attempt.bind((LOOPBACK, port))
            return port
    raise NoServerError("no free port between 20000 and 32000: stop what listens there")


class Server(ABC):
    """A child process that can be stopped, killed, paused, and started again on its own data.

    It dies with the thread that started it (so start it from a thread that lives on), even when
    this process is killed.
    """

    name: str
    start_limit_s: float
    poll_s: float

    def __init__(self, folder: Path, port: int | None) -> None:
        self.folder = folder.resolve()
        self.port = port or free_port()
        self.log = self.folder / f"{self.name.lower()}.log"  # what the process prints
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect."""

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} has not been started: call start() first")
        return self._process.pid

    def start(self) -> Self:
        """Starts the process, on the data that are there, and waits until it serves."""
        if self.running:
            raise RuntimeError(f"{self.name} on port {self.port} runs already")
        self.folder.mkdir(parents=True, exist_ok=True)
        command, environment = self._command()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_dying_with_us(), *command],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop it in order
            )
        try:
            self._wait_until_healthy()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self, limit_s: float = 30.0) -> None:
        """Ends it in order, and by force where that takes longer than `limit_s`."""
        if self._process is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(limit_s)
        self.kill()

    def kill(self) -> None:
        """SIGKILL: it ends at once, between any two instructions."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def erase(self) -> None:
        """Removes the data of a server that does not run: it starts empty again."""
        if self.running:
            raise RuntimeError(f"{self.name} still runs: stop() or kill() it before erase()")
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    @abstractmethod
    def _command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        """Writes the configuration; returns the command and what it adds to the environment."""

    @abstractmethod
    def _healthy(self) -> bool:
        """Whether it serves; may raise OSError or HTTPException where it does not yet answer."""

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(number)

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + self.start_limit_s
        while time.monotonic() < deadline:
            if not self.running:
                raise NoServerError(f"{self.name} ended while starting: {self.last_words()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._healthy():
                    return
            time.sleep(self.poll_s)
        raise NoServerError(
            f"{self.name} did not answer within {self.start_limit_s:.0f} s: see {self.log}"
        )

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(errors="replace").split("\n")
        said = [line.strip()[:200] for line in lines if line.strip()] or ["it said nothing"]
        return f"{said[-1]} (see {self.log})"


@functools.cache
def _dying_with_us() -> Sequence[str]:
    """The prefix of a command that asks Linux to kill the process when its parent dies."""
    found = shutil.which("setpriv")
    return (found, "--pdeathsig", "KILL") if found else ()


class RedisServer(Server):
    """A Redis with an append-only file that refuses writes, never evicts, when memory is full.

    `config` holds more lines of redis.conf with _ for -, such as `appendfsync="always"` (every
    write that was answered survives a kill) or `maxmemory="8mb"`.
    """

    name = "Redis"
    start_limit_s = 20.0
    poll_s = 0.02

    def __init__(self, folder: Path, port: int | None = None, **config: str) -> None:
        super().__init__(folder, port)
        self.config = {
            "appendonly": "yes",
            "maxmemory_policy": "noeviction",
            "save": '""',
            **config,
        }

    @property
    def url(self) -> str:
        return self.database_url(0)

    def database_url(self, number: int) -> str:
        password = self.config.get("requirepass")
        return f"redis://{f':{password}@' if password else ''}{LOOPBACK}:{self.port}/{number}"

    def _command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        lines = {"bind": LOOPBACK, "port": str(self.port), "dir": f'"{data}"', **self.config}
        file = self.folder / "redis.conf"
        file.write_text("".join(f"{k.replace('_', '-')} {v}\n" for k, v in lines.items()))
        return [program("redis-server", "redis-server"), str(file)], {}

    def _healthy(self) -> bool:
        """PING is answered, or refused for want of a password; -LOADING is not yet healthy."""
        with socket.create_connection((LOOPBACK, self.port), timeout=2.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))


class PulsarServer(Server):
    """A standalone Pulsar that syncs its journal, drops repeats and keeps a week of messages.

    `config` holds more lines of standalone.conf, such as `brokerDeduplicationEnabled="false"`.
    Clients reconnect to the address that the broker advertises, not to the one they were given:
    a proxy in front of it sees them only where `advertised_port` names the proxy's port.
    """

    name = "Pulsar"
    start_limit_s = 90.0
    poll_s = 0.2

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        admin_port: int | None = None,
        *,
        advertised_port: int | None = None,
        heap: str = "512m",
        **config: str,
    ) -> None:
        super().__init__(folder, port)
        self.admin_port = admin_port or free_port()
        self.advertised_port = advertised_port
        self.heap = heap
        self.config = config

    @property
    def url(self) -> str:
        return f"pulsar://{LOOPBACK}:{self.advertised_port or self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://{LOOPBACK}:{self.admin_port}"

    def _command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        os.environ.get("JAVA_HOME") or program("java", "default-jre-headless")
        home = pulsar_home()
        file = self.folder / "standalone.conf"
        file.write_text(_with_lines((home / "conf/standalone.conf").read_text(), self._lines()))
        data = self.folder / "data"
        options = ["-nfw", "-nss", "-a", LOOPBACK, "--metadata-dir", f"{data}/metadata"]
        return [
            f"{home}/bin/pulsar",
            "standalone",
            *options,
            "--bookkeeper-dir",
            f"{data}/books",
        ], {
            "PULSAR_MEM": f"-Xms256m -Xmx{self.heap} -XX:MaxDirectMemorySize={self.heap}",
            "PULSAR_STANDALONE_CONF": str(file),
            "PULSAR_LOG_DIR": str(self.folder / "logs"),
        }

    def _lines(self) -> Mapping[str, str]:
        lines = {
            "bindAddress": LOOPBACK,
            "brokerServicePort": str(self.port),
            "webServicePort": str(self.admin_port),
            "brokerDeduplicationEnabled": "true",
            "brokerDeduplicationProducerInactivityTimeoutMinutes": "10080",
            "journalSyncData": "true",
        }
        if self.advertised_port:
            lines["advertisedListeners"] = f"proxied:pulsar://{LOOPBACK}:{self.advertised_port}"
        return {**lines, **self.config}

    def _healthy(self) -> bool:
        """The broker says so, and its namespace is there and keeps what nobody subscribed to."""
        retention = {"retentionTimeInMinutes": RETENTION_DAYS * 24 * 60, "retentionSizeInMB": -1}
        return (
            self.ask("GET", "/admin/v2/brokers/health") == 200
            and self.ask("POST", "/admin/v2/namespaces/public/default/retention", retention) == 204
        )

    def ask(self, method: str, path: str, body: object = None) -> int:
        """The status code that the admin API answers."""
        connection = http.client.HTTPConnection(LOOPBACK, self.admin_port, timeout=10.0)
        headers = {"Content-Type": "application/json"}
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body), headers)
            return connection.getresponse().status


def _with_lines(text: str, lines: Mapping[str, str]) -> str:
    """A .conf file with `lines` in the place of its own of the same names."""
    kept = [line for line in text.split("\n") if line.split("=")[0].strip() not in lines]
    return "\n".join([*kept, *(f"{name}={value}" for name, value in lines.items()), ""])


def pulsar_home() -> Path:
    """The folder of the Pulsar distribution: PULSAR_HOME, else a cache filled on first use."""
    if given := os.environ.get("PULSAR_HOME"):
        home = Path(given)
        if not (home / "bin/pulsar").is_file():
            raise NoServerError(f"PULSAR_HOME={given} has no bin/pulsar: correct or unset it")
        return home
    cache = Path(os.environ.get("FOOTANALYTICS_CACHE", Path.home() / ".cache/footanalytics"))
    home = cache.resolve() / f"pulsar-{PULSAR_VERSION}"
    if not home.is_dir():
        print(f"downloading Pulsar {PULSAR_VERSION} (245 MB), once, to {home}", file=sys.stderr)
        fetch = ["sh", str(Path(__file__).with_name("fetch_pulsar.sh")), str(home)]
        done = subprocess.run(fetch, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise NoServerError(done.stderr.strip() or f"{fetch[1]} failed")
    return home


def environment(state: RedisServer, broker: RedisServer, pulsar: PulsarServer) -> dict[str, str]:
    """The variables that point the service at these servers."""
    return {
        "REDIS_URL": state.url,
        "CELERY_BROKER_URL": broker.database_url(1),
        "PULSAR_SERVICE_URL": pulsar.url,
        "PULSAR_ADMIN_URL": pulsar.admin_url,
    }


def serve(options: argparse.Namespace) -> None:
    """Runs the servers until a signal, or until one of them ends."""
    folder: Path = options.dir
    servers = (
        RedisServer(folder / "state", options.redis_port),
        RedisServer(folder / "broker", options.broker_port, appendonly="no"),
        PulsarServer(folder / "pulsar", options.pulsar_port, options.pulsar_admin_port),
    )
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as running:
        lock = running.enter_context((folder / "lock").open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for server in servers:
            print(f"starting {server.name} in {server.folder}", file=sys.stderr, flush=True)
            running.enter_context(server)
        lines = [f"export {k}={shlex.quote(v)}\n" for k, v in environment(*servers).items()]
        (folder / "environment").write_text("".join(lines))
        print("".join(lines), end="", flush=True)
        print(f"running until Ctrl-C; elsewhere: . {folder}/environment", file=sys.stderr)
        while not (ended := [server for server in servers if not server.running]):
            time.sleep(1.0)
        raise NoServerError(f"{ended[0].name} ended: {ended[0].last_words()}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Redis and Pulsar for development, in one folder.")
    parser.add_argument("--dir", type=Path, default=Path("servers"), help="what they write")
    for option in ("--redis-port", "--broker-port", "--pulsar-port", "--pulsar-admin-port"):
        parser.add_argument(option, type=int, help="default: a free one")
    parser.add_argument("--fetch", action="store_true", help="only download Pulsar")
    return parser.parse_args()


def main() -> None:
    options = _arguments()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        if options.fetch:
            print(pulsar_home())
        else:
            serve(options)
    except BlockingIOError:
        sys.exit(f"servers run already in {options.dir}: stop them, or choose another --dir")
    except NoServerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
