"""`python -m infrastructure.health`: what containers ask beside their process."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from application.outbox import RELAY
from application.state import PipelineRecord, WorkerRecord
from deploy.servers import free_port
from domain.pipeline import DomainEvent, EventKind
from infrastructure import health
from infrastructure.state.redis import RedisStateStore


@pytest.fixture(autouse=True)
def _environment(
    redis_url: str, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CELERY_BROKER_URL", broker_url)
    monkeypatch.setenv("ML_PIPELINE_PORT", str(free_port()))


@pytest.fixture
def state(redis_url: str) -> Iterator[RedisStateStore]:
    state = RedisStateStore(redis_url)
    state.begin(1)
    yield state
    state.close()


def test_a_worker_serves_when_a_process_of_its_machine_lives(
    state: RedisStateStore, capsys: pytest.CaptureFixture[str]
) -> None:
    state.register(WorkerRecord("elsewhere:1", ("cpu",), ()))
    assert health.main(["worker"]) == 1
    assert capsys.readouterr().err == "no worker process of this machine is alive\n"
    state.register(WorkerRecord(f"{socket.gethostname()}:1", ("cpu",), ()))
    assert health.main(["worker"]) == 0


def test_a_relay_serves_unless_events_wait_for_long(
    state: RedisStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.submit(PipelineRecord("p", "{}"), [DomainEvent(EventKind.PIPELINE_SUBMITTED, "p")])
    assert health.main(["relay"]) == 0
    monkeypatch.setattr(health, "time", SimpleNamespace(time=lambda: time.time() + 300))
    assert health.main(["relay"]) == 1
    state.read_up_to(RELAY, state.log(0)[-1].number)
    assert health.main(["relay"]) == 0


def test_beat_serves_while_its_broker_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert health.main(["beat"]) == 0
    monkeypatch.setenv("CELERY_BROKER_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert health.main(["beat"]) == 1


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_api_serves_when_it_says_so(
    status: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        monkeypatch.setenv("ML_PIPELINE_PORT", str(server.server_port))
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert health.main(["api"]) == code
        thread.join()


def test_an_api_that_is_away_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert health.main(["api"]) == 1
    assert capsys.readouterr().err.startswith("the API does not answer (")


def test_a_state_that_is_away_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert health.main(["worker"]) == 1


@pytest.mark.parametrize("arguments", [[], ["pulsar"], ["api", "beat"]])
def test_bad_usage(arguments: list[str]) -> None:
    assert health.main(arguments) == 2
