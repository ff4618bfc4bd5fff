"""The real servers and the faults: each must do what tests of the service rely on."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from pulsar import Timeout as PulsarTimeout

from deploy.servers import PulsarServer, RedisServer, program
from tests.faults import cannot_have, together
from tests.faults.broken_disk import BrokenDisk
from tests.faults.clock import MovableClock
from tests.faults.full_disk import fill, small_disk
from tests.faults.proxy import Proxy
from tests.servers import Child, connect, pulsar_client, received

ROOT = Path(__file__).parents[1]
EIO, ENOSPC = "5", "28"


# Redis


def test_redis_killed_and_started_again_has_what_it_answered(
    new_redis: Callable[..., RedisServer],
) -> None:
    server = new_redis(appendfsync="always")
    with connect(server.url) as client:
        client.set("cell", "done")
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("cell")
        server.start()
        assert client.get("cell") == b"done"


def test_redis_without_its_file_starts_empty(redis_server: RedisServer) -> None:
    with connect(redis_server.url) as client:
        client.set("cell", "done")
        redis_server.kill()
        redis_server.erase()
        redis_server.start()
        assert client.dbsize() == 0


def test_paused_redis_keeps_its_connections_and_does_not_answer(redis_server: RedisServer) -> None:
    with connect(redis_server.url, timeout_s=0.2) as client:
        client.set("cell", "done")
        redis_server.pause()
        with pytest.raises(redis.TimeoutError):
            client.get("cell")
        redis_server.resume()
        assert client.get("cell") == b"done"


def test_redis_out_of_memory_refuses_and_never_evicts(
    new_redis: Callable[..., RedisServer],
) -> None:
    server = new_redis(maxmemory="4mb")
    with connect(server.url) as client:
        client.set("first", "kept")
        more = client.pipeline(transaction=False)
        for number in range(100):  # 100 x 100 kB is more than 4 MB
            more.set(f"key {number}", bytes(100_000))
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            more.execute()
        assert client.get("first") == b"kept"


@pytest.mark.parametrize("run", [1, 2])
def test_each_test_gets_an_empty_database(redis_url: str, broker_url: str, run: int) -> None:
    """The second run would find what the first one left."""
    with connect(redis_url) as state, connect(broker_url) as broker:
        assert (state.dbsize(), broker.dbsize()) == (0, 0)
        state.set("state", run)
        broker.set("message", run)
        assert state.dbsize() == 1  # so they are two databases


def test_password_is_part_of_the_url(new_redis: Callable[..., RedisServer]) -> None:
    server = new_redis(requirepass="secret")
    with connect(server.url) as client:
        assert client.ping()


def test_servers_die_with_a_test_run_that_is_killed(tmp_path: Path) -> None:
    start = (
        "import sys, time; from pathlib import Path; from deploy.servers import RedisServer\n"
        "print(RedisServer(Path(sys.argv[1])).start().url, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", start, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        with connect(parent.stdout.readline().strip()) as client:
            assert client.ping()
            parent.kill()
            with pytest.raises(redis.ConnectionError):
                client.blpop(["nothing"], timeout=4)  # returns None if Redis lives on


# What is missing


def test_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(Exception, match="mvn-4711 is missing: sudo apt-get install -y maven"):
        program("mvn-4711", "maven")


@pytest.mark.parametrize(
    ("required", "exit_code", "line"),
    [
        ("0", 0, "skipped: 2 tests need Pulsar, which could not be had: PULSAR_HOME=/nowhere has"),
        ("1", 1, "needs Pulsar, which could not be had: PULSAR_HOME=/nowhere has no bin/pulsar"),
    ],
)
def test_tests_without_their_server_are_counted_at_the_end_or_fail(
    tmp_path: Path, required: str, exit_code: int, line: str
) -> None:
    """A whole run of pytest: session fixtures are asked twice and start once."""
    variables = {"PULSAR_HOME": "/nowhere", "FOOTANALYTICS_REQUIRE_SERVERS": required, "CI": ""}
    two = "broker_drops_what_was_sent_twice or kept_for_a_late_subscriber"
    options = ["-p", "no:cacheprovider", "-k", two, __file__]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", f"--basetemp={tmp_path / 't'}", *options],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exit_code
    assert line in done.stdout


def test_ci_takes_no_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="needs a moon, which could not be had: dark"):
        cannot_have("a moon", "dark")


# The network


def test_slow_network_delays_both_directions(redis_server: RedisServer) -> None:
    with (
        Proxy(("127.0.0.1", redis_server.port), latency_s=0.1) as proxy,
        connect(f"redis://127.0.0.1:{proxy.port}") as client,
    ):
        client.ping()
        start = time.monotonic()
        client.ping()
        assert time.monotonic() - start >= 0.2  # 0.1 there and 0.1 back, never less


def test_slow_network_passes_a_large_value_whole(redis_server: RedisServer) -> None:
    """5 MB are 80 chunks of the proxy: order and content survive the wait of each."""
    value = os.urandom(5_000_000)
    with (
        Proxy(("127.0.0.1", redis_server.port), latency_s=0.01) as proxy,
        connect(f"redis://127.0.0.1:{proxy.port}", timeout_s=60.0) as client,
    ):
        client.set("large", value)
        assert client.get("large") == value


def test_cut_network_drops_and_refuses_until_restored(redis_server: RedisServer) -> None:
    with Proxy(("127.0.0.1", redis_server.port)) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        with connect(url) as client, socket.create_connection(("127.0.0.1", proxy.port)) as idle:
            idle.sendall(b"PING\r\n")
            assert idle.recv(64) == b"+PONG\r\n"
            proxy.cut()
            assert idle.recv(64) == b""  # closed by the other end
            with pytest.raises(redis.ConnectionError, match="refused"):
                client.ping()
            proxy.restore()
            assert client.ping()


def test_stalled_network_delivers_once_restored(redis_server: RedisServer) -> None:
    with Proxy(("127.0.0.1", redis_server.port)) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        with connect(url, timeout_s=0.2) as stalled, connect(redis_server.url) as beside:
            stalled.ping()
            proxy.stall()
            with pytest.raises(redis.TimeoutError):
                stalled.set("sent", "late")
            assert beside.get("sent") is None
            stalled.close()
            proxy.restore()
            assert stalled.ping()


# The disk


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A file in the folder whose disk breaks."""
    file = tmp_path / "store" / "artifact"
    file.parent.mkdir()
    file.write_text("whole")
    return file


def test_broken_disk_fails_reading_while_the_switch_is_on(stored: Path, tmp_path: Path) -> None:
    disk = BrokenDisk(stored.parent, tmp_path)
    beside = tmp_path / "beside"
    beside.write_text("whole")
    with Child(disk.environment) as child:
        assert child.ask(f"attempt(read, {str(stored)!r})") == "whole"
        with disk.failing():
            assert child.ask(f"attempt(read, {str(stored)!r})") == EIO
            assert child.ask(f"attempt(read, {str(beside)!r})") == "whole"
        assert child.ask(f"attempt(read, {str(stored)!r})") == "whole"


def test_broken_disk_fails_files_that_are_open_and_files_to_be_made(
    stored: Path, tmp_path: Path
) -> None:
    """An open descriptor has no path of its own, a new file none that could be resolved."""
    disk = BrokenDisk(stored.parent, tmp_path)
    with Child(disk.environment) as child:
        assert child.ask(f"(file := open({str(stored)!r}, 'rb', 0)).fileno() > 2") == "True"
        disk.fail()
        assert child.ask("attempt(os.read, file.fileno(), 5)") == EIO
        assert child.ask("attempt(os.pread, file.fileno(), 5, 0)") == EIO
        new = str(stored.with_name("new"))
        assert child.ask(f"attempt(os.open, {new!r}, os.O_CREAT | os.O_WRONLY)") == EIO


def test_broken_disk_may_fail_only_each_third_call(stored: Path, tmp_path: Path) -> None:
    disk = BrokenDisk(stored.parent, tmp_path, every=3)
    with Child(disk.environment) as child:
        assert child.ask(f"(d := os.open({str(stored)!r}, os.O_RDONLY)) > 2") == "True"
        disk.fail()
        outcomes = [child.ask("attempt(os.pread, d, 5, 0)") for _ in range(6)]
    assert outcomes == ["b'whole'", "b'whole'", EIO] * 2


def test_small_disk_is_full_until_something_is_deleted(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        filler = fill(disk)
        assert 0 < filler.stat().st_size <= 1 << 20
        with pytest.raises(OSError, match=f"Errno {ENOSPC}"):
            (disk / "more").write_text("x")
        filler.unlink()
        (disk / "more").write_text("x")
    assert not (tmp_path / "disk" / "more").exists()  # it was a disk of its own


def test_the_disk_of_the_machine_is_not_filled(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tests.faults.full_disk.MOST_TO_FILL", 0)
    with pytest.raises(ValueError, match="fill a small_disk"):
        fill(tmp_path)
    assert list(tmp_path.iterdir()) == []


# The clock


def test_clock_moves_while_the_process_runs(tmp_path: Path) -> None:
    """By an hour forth, then back: intervals (time.monotonic) do not move with it."""
    clock = MovableClock(tmp_path / "clock")
    with Child(clock.environment) as child:
        ahead = "time.time() - time.monotonic() - {}"
        start = child.ask("time.time() - time.monotonic()")
        assert abs(float(start) - (time.time() - time.monotonic())) < 60
        for offset_s in (3600.0, -3600.0):
            clock.set_offset(offset_s)
            assert abs(float(child.ask(ahead.format(start))) - offset_s) < 60
            assert child.ask("threading.Event().wait(0.01)") == "False"  # timed waits still end


def test_faults_can_be_combined(stored: Path, tmp_path: Path) -> None:
    """Two preloaded libraries in one process; the environment has one LD_PRELOAD."""
    disk = BrokenDisk(stored.parent, tmp_path)
    clock = MovableClock(tmp_path / "clock", offset_s=86400.0)
    with Child(together(disk.environment, clock.environment)) as child, disk.failing():
        assert child.ask(f"attempt(read, {str(stored)!r})") == EIO
        assert abs(float(child.ask("time.time()")) - time.time() - 86400) < 60


# Pulsar


@pytest.mark.slow
def test_broker_drops_what_was_sent_twice(pulsar: str, pulsar_topic: str) -> None:
    """The relay sends again what it is not sure of: same producer name, same sequence id."""
    client = pulsar_client(pulsar)
    producer = client.create_producer(pulsar_topic, producer_name="relay")
    assert producer.last_sequence_id() == -1
    for sequence_id in (0, 1, 1, 0, 2):
        producer.send(b"%d" % sequence_id, sequence_id=sequence_id)
    assert received(client, pulsar_topic) == [b"0", b"1", b"2"]
    client.close()


@pytest.mark.slow
def test_message_is_kept_for_a_late_subscriber(
    pulsar: str, pulsar_broker: PulsarServer, pulsar_topic: str
) -> None:
    """Without retention the broker, when it tidies up, drops what nobody had subscribed to."""
    client = pulsar_client(pulsar)
    producer = client.create_producer(pulsar_topic)
    producer.send(b"early")
    producer.close()
    topic = "/admin/v2/persistent/" + pulsar_topic.removeprefix("persistent://")
    assert pulsar_broker.ask("PUT", f"{topic}/unload") == 204
    assert pulsar_broker.ask("POST", f"{topic}/trim") == 200
    assert received(client, pulsar_topic) == [b"early"]
    client.close()


@pytest.mark.slow
def test_pulsar_killed_and_started_again_has_lost_nothing(
    pulsar_server: PulsarServer, pulsar_topic: str
) -> None:
    """Neither the messages nor the number from which the relay goes on."""
    client = pulsar_client(pulsar_server.url)
    producer = client.create_producer(pulsar_topic, producer_name="relay")
    for sequence_id in range(20):
        producer.send(b"%d" % sequence_id, sequence_id=sequence_id)
    pulsar_server.kill()
    client.close()
    pulsar_server.start()
    client = pulsar_client(pulsar_server.url)
    producer = client.create_producer(pulsar_topic, producer_name="relay")
    assert producer.last_sequence_id() == 19
    producer.send(b"19", sequence_id=19)
    assert received(client, pulsar_topic) == [b"%d" % number for number in range(20)]
    client.close()


@pytest.mark.slow
def test_pulsar_behind_a_proxy_is_reached_through_it_alone(
    proxied_pulsar: tuple[PulsarServer, Proxy], pulsar_topic: str
) -> None:
    """The address that the broker tells its clients is the proxy's: no way round the fault."""
    server, proxy = proxied_pulsar
    client = pulsar_client(server.url)
    producer = client.create_producer(pulsar_topic, send_timeout_millis=500)
    producer.send(b"before")
    proxy.stall()
    with pytest.raises(PulsarTimeout):
        producer.send(b"not delivered in time")
    proxy.restore()
    producer.send(b"after")
    messages = received(client, pulsar_topic)
    assert (messages[0], messages[-1]) == (b"before", b"after")
    client.close()
