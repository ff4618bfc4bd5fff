"""`footanalytics doctor`: what it says of a machine and of a cluster, against real servers."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from api.command_line import main
from application import records
from application.match import PlanDocument
from application.outbox import RELAY
from application.state import ADMISSION, Admission, PipelineRecord, WorkerRecord
from deploy.servers import PulsarServer, RedisServer, free_port
from domain.pipeline import DomainEvent, EventKind
from infrastructure.doctor import cluster, examination, machine
from infrastructure.inference.machine import CudaDevice, Machine
from infrastructure.settings import Settings, adopt_env_file
from infrastructure.state.redis import RedisStateStore
from infrastructure.storage.folder import FolderArtifactStore
from tests.state_stores import small_plan

ROOT = Path(__file__).resolve().parents[1]
DETECTOR = ROOT / "models" / "detector.onnx"
Doctor = Callable[..., tuple[int, dict[str, list[tuple[str, str]]]]]


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder without .env, no variable of the service, and no Redis on the usual port."""
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    for name in (*Settings.model_fields, "PULSAR_ADMIN_URL"):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(examination, "_DEFAULT_REDIS", ("127.0.0.1", free_port()))
    yield
    for name in set(os.environ) - set(before):  # what a .env file brought
        del os.environ[name]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Runs the command in an environment; its exit code and what each check said."""

    def examine(**environment: str) -> tuple[int, dict[str, list[tuple[str, str]]]]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        code = main(["doctor", "--json"])
        said: dict[str, list[tuple[str, str]]] = {}
        for each in json.loads(capsys.readouterr().out)["checks"]:
            said.setdefault(each["check"], []).append((each["level"], each["text"]))
        return code, said

    return examine


def levels(said: dict[str, list[tuple[str, str]]]) -> set[str]:
    return {level for notes in said.values() for level, _ in notes}


class TestThisMachine:
    def test_a_laptop_without_servers_is_well(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["doctor"]) == 0
        lines = capsys.readouterr().out.splitlines()
        checks = ["python", "ffmpeg", "cpu", "gpu", "models", "disk", "cluster"]
        assert list(dict.fromkeys(line.split()[1] for line in lines)) == checks
        assert lines[-1].startswith("skipped cluster   REDIS_URL is not set")
        assert {line.split()[0] for line in lines[:-1]} <= {"ok", "warning"}

    def test_both_networks_are_named_by_their_hash(self, doctor: Doctor) -> None:
        import hashlib

        _, said = doctor()
        (_, detector), (_, pitch) = said["models"]
        assert f"sha256 {hashlib.sha256(DETECTOR.read_bytes()).hexdigest()}" in detector
        assert "classes player goalkeeper referee ball" in detector
        assert pitch.startswith("pitch_observation: ")

    def test_no_ffmpeg_fails_and_says_how_to_get_it(self, doctor: Doctor) -> None:
        code, said = doctor(PATH="/nonexistent")
        assert code == 1
        assert said["ffmpeg"] == [
            ("failed", "the ffmpeg command is missing: sudo apt-get install -y ffmpeg")
        ]

    def test_a_broken_network_fails_and_the_other_checks_go_on(
        self, doctor: Doctor, tmp_path: Path
    ) -> None:
        broken = tmp_path / "broken.onnx"
        broken.write_bytes(DETECTOR.read_bytes()[:1000])
        code, said = doctor(YOLO_MODEL_PATH=str(broken))
        assert code == 1
        assert said["models"] == [
            ("failed", f"model file {broken}: not an ONNX network, or cut short")
        ]
        assert "disk" in said

    def test_deep_runs_each_network_once(self) -> None:
        # In a process of its own: OpenVINO and Pulsar's client, which other tests import, do not
        # get on in one. The doctor's own checks of networks come before it imports the client.
        command = [sys.executable, "-m", "api.command_line", "doctor", "--deep"]
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        lines = [line for line in done.stdout.splitlines() if " models " in line]
        assert (done.returncode, len(lines)) == (0, 2)
        assert all("one image in" in line for line in lines)

    def test_a_missing_package_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        wanted = ["no-such-package>=3", 'never-looked-at; extra == "torch"', "numpy>=2"]
        monkeypatch.setattr(machine.importlib.metadata, "requires", lambda _: wanted)
        (note,) = machine.python()
        assert note == ("failed", "not installed: no-such-package: pip install no-such-package")

    def test_an_image_without_torch_is_well(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def version(name: str) -> str:
            if name in {"torch", "ultralytics", "onnxruntime"}:
                raise machine.importlib.metadata.PackageNotFoundError(name)
            return "1"

        wanted = ["torch>=2", "ultralytics", "onnxruntime>=1", "numpy"]  # it has onnxruntime-gpu
        monkeypatch.setattr(machine.importlib.metadata, "requires", lambda _: wanted)
        monkeypatch.setattr(machine.importlib.metadata, "version", version)
        ((level, text),) = machine.python()
        assert level == "ok"
        assert "without torch: .pt networks and training do not run here" in text

    def test_a_device_that_the_backends_do_not_reach(self, monkeypatch: pytest.MonkeyPatch) -> None:
        devices = (CudaDevice("Some Card", 16 << 30),)
        monkeypatch.setattr(machine, "cuda_devices", lambda: devices)
        monkeypatch.setattr(machine.Machine, "here", lambda: Machine(cuda=frozenset({"torch"})))
        first, second, *_ = machine.gpu()
        assert first.level == "ok"
        assert first.text.startswith("CUDA device 0: Some Card, 16.0 GB")
        assert second.level == "warning"
        assert "pip install onnxruntime-gpu" in second.text

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        note = machine.room_in(tmp_path / "file" / "below", "MODEL_CACHE_DIR")
        assert note.level == "failed"
        assert "choose another folder" in note.text

    def test_what_nobody_foresaw_is_a_finding(
        self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def breaks() -> None:
            raise RuntimeError("at redis://me:hidden-word@host")

        monkeypatch.setattr(machine, "gpu", breaks)
        code, said = doctor()
        assert code == 1
        assert said["gpu"] == [
            ("failed", "this could not be looked at (RuntimeError: at redis://me:***@host)")
        ]


class TestEnvFile:
    """Networks, libraries and children read the process's environment, not the settings."""

    def test_what_it_says_is_in_the_environment_unless_set_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".env").write_text("MODEL_CACHE_DIR=/models\nLEASE_SECONDS=5\nAWS_PROFILE=\n")
        monkeypatch.setenv("LEASE_SECONDS", "7")
        adopt_env_file()
        assert os.environ["MODEL_CACHE_DIR"] == "/models"
        assert os.environ["LEASE_SECONDS"] == "7"
        assert "AWS_PROFILE" not in os.environ  # AWS takes an empty one for a name

    def test_no_file_is_no_error(self) -> None:
        before = dict(os.environ)
        adopt_env_file()
        assert dict(os.environ) == before

    def test_a_wrong_value_there_is_a_finding(self, doctor: Doctor, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("REDIS_URL=redis://localhost\nLEASE_SECONDS=soon\n")
        code, said = doctor()
        assert code == 1
        assert said["settings"] == [
            ("failed", "LEASE_SECONDS=soon: must be a number above 0 up to 3600")
        ]
        assert "state" not in said


@pytest.fixture
def here(redis_url: str, broker_url: str, tmp_path: Path) -> dict[str, str]:
    """A cluster that has all but Pulsar."""
    (tmp_path / "videos").mkdir()
    return {
        "REDIS_URL": redis_url,
        "CELERY_BROKER_URL": broker_url,
        "PULSAR_SERVICE_URL": "",
        "ARTIFACT_URL": str(tmp_path / "artifacts"),
        "ML_PIPELINE_VIDEO_ROOTS": str(tmp_path / "videos"),
    }


class TestCluster:
    def test_a_new_cluster_is_well(self, doctor: Doctor, here: dict[str, str]) -> None:
        code, said = doctor(**here)
        assert code == 0
        assert levels(said) == {"ok"}
        assert said["state"][0][1].startswith("nothing is in it yet")
        assert "takes records" in said["storage"][0][1]
        assert said["pulsar"][0][1].startswith("off: ")
        assert not (Path(here["ARTIFACT_URL"]) / "records" / "checks").exists() or not list(
            (Path(here["ARTIFACT_URL"]) / "records" / "checks").iterdir()
        )

    def test_a_redis_that_is_down_fails_and_the_rest_is_looked_at(
        self, doctor: Doctor, here: dict[str, str]
    ) -> None:
        code, said = doctor(**{**here, "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"})
        assert code == 1
        ((level, text),) = said["state"]
        assert level == "failed"
        assert "cannot be reached" in text
        assert said["storage"][0][0] == said["broker"][0][0] == "ok"

    def test_a_redis_that_would_forget_fails_and_no_password_is_shown(
        self,
        here: dict[str, str],
        new_redis: Callable[..., RedisServer],
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        unfit = new_redis(
            requirepass="hidden-word", maxmemory_policy="allkeys-lru", appendonly="no"
        )
        for name, value in {**here, "REDIS_URL": unfit.url}.items():
            monkeypatch.setenv(name, value)
        assert main(["doctor"]) == 1
        out = capsys.readouterr().out
        assert "failed  state     Redis at 127.0.0.1" in out
        assert "set it to noeviction" in out
        assert "set appendonly yes" in out
        assert "hidden-word" not in out

    def test_a_full_redis_is_a_warning(
        self, doctor: Doctor, here: dict[str, str], new_redis: Callable[..., RedisServer]
    ) -> None:
        # an empty Redis takes about 1 MB of these
        full = new_redis(maxmemory="1100kb")
        _, said = doctor(**{**here, "REDIS_URL": full.url})
        assert any("of its maxmemory: raise it" in text for _, text in said["state"])

    def test_one_database_for_both_is_a_warning(self, doctor: Doctor, here: dict[str, str]) -> None:
        code, said = doctor(**{**here, "CELERY_BROKER_URL": here["REDIS_URL"]})
        assert code == 0
        assert ("warning", "share a database") in [
            (level, "share a database") for level, text in said["broker"] if "share a data" in text
        ]

    def test_a_broker_that_is_no_redis(self, doctor: Doctor, here: dict[str, str]) -> None:
        _, said = doctor(**{**here, "CELERY_BROKER_URL": "memory://"})
        assert said["broker"][0][0] == "failed"
        nobody = "redis+socket:///nonexistent.sock"
        _, said = doctor(**{**here, "CELERY_BROKER_URL": nobody})
        ((level, text),) = said["broker"]
        assert level == "failed"
        assert "check CELERY_BROKER_URL" in text

    def test_folders_of_videos(self, doctor: Doctor, here: dict[str, str], tmp_path: Path) -> None:
        code, said = doctor(**{**here, "ML_PIPELINE_VIDEO_ROOTS": str(tmp_path / "nothing")})
        assert code == 1
        assert said["videos"][0][1].endswith("correct ML_PIPELINE_VIDEO_ROOTS, or mount it")
        code, said = doctor(**{**here, "ML_PIPELINE_VIDEO_ROOTS": ""})
        assert (code, said["videos"][0][0]) == (0, "warning")

    @pytest.mark.parametrize(("seconds", "level"), [(0.0, "ok"), (5.0, "warning"), (-5, "warning")])
    def test_clocks_that_differ(
        self,
        seconds: float,
        level: str,
        doctor: Doctor,
        here: dict[str, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        moved = SimpleNamespace(time=lambda: time.time() + seconds)
        monkeypatch.setattr(cluster, "time", moved)
        _, said = doctor(**here)
        ((found, text),) = said["clock"]
        assert found == level
        assert f"{abs(seconds):.1f} s" in text


class TestWork:
    """What the state tells of workers and matches."""

    @pytest.fixture
    def state(self, here: dict[str, str]) -> Iterator[RedisStateStore]:
        state = RedisStateStore(here["REDIS_URL"])
        state.begin(1)
        yield state
        state.close()

    @pytest.fixture
    def artifacts(self, here: dict[str, str]) -> FolderArtifactStore:
        return FolderArtifactStore(Path(here["ARTIFACT_URL"]))

    def started(
        self, state: RedisStateStore, artifacts: FolderArtifactStore, *needs: str
    ) -> Admission:
        """A running match whose passes need that; it logs one event."""
        plan = small_plan(1)
        document = PlanDocument.of(plan, None, {"gpu": needs, "cpu": ()})
        record = PipelineRecord("match-1", "{}")
        state.submit(record, [DomainEvent(EventKind.PIPELINE_SUBMITTED, "match-1")])
        lease = state.claim("cpu", (), "me", 60)
        assert lease
        assert lease.job == ADMISSION
        ready = tuple((job.number, plan.queue_of(job)) for job in plan.runnable(frozenset()))
        admission = Admission(
            artifacts.put(records.encode(document)),
            len(plan.jobs),
            len(plan.cells),
            ready,
            document.needs,
        )
        state.admit(lease, admission, ())
        return admission

    def test_a_queue_without_workers_is_a_warning(
        self, doctor: Doctor, here: dict[str, str], state: RedisStateStore
    ) -> None:
        state.register(WorkerRecord("a", ("cpu",), ("runs:openvino:f32", "stage:export:1")))
        state.register(WorkerRecord("b", ("cpu",), ("runs:openvino:f32", "stage:export:2")))
        code, said = doctor(**here)
        assert code == 0
        gpu, cpu, versions = said["workers"]
        assert gpu[0] == "warning"
        assert "infrastructure.celery_app worker -Q gpu" in gpu[1]
        assert cpu == ("ok", "cpu: 2 alive; able to run openvino:f32 (2)")
        assert versions[0] == "warning"
        assert "finish the upgrade" in versions[1]

    def test_a_match_that_no_worker_can_serve(
        self,
        doctor: Doctor,
        here: dict[str, str],
        state: RedisStateStore,
        artifacts: FolderArtifactStore,
    ) -> None:
        self.started(state, artifacts, "runs:torch:cuda:f32")
        state.register(WorkerRecord("a", ("cpu", "gpu"), ("runs:openvino:f32",)))
        _, said = doctor(**here)
        assert said["matches"] == [
            ("ok", "1 run, 0 wait, 0 failed"),
            (
                "warning",
                "match match-1: no worker on gpu has runs:torch:cuda:f32: start one, or it is "
                "planned again",
            ),
        ]
        state.register(WorkerRecord("b", ("gpu",), ("runs:torch:cuda:f32",)))
        _, said = doctor(**here)
        assert len(said["matches"]) == 1

    def test_jobs_that_were_given_up_are_counted(
        self,
        doctor: Doctor,
        here: dict[str, str],
        state: RedisStateStore,
        artifacts: FolderArtifactStore,
    ) -> None:
        self.started(state, artifacts)
        lease = state.claim("gpu", (), "me", 60)
        assert lease
        state.fail(lease, "the frame is broken", None)
        _, said = doctor(**here)
        level, text = said["matches"][-1]
        assert level == "warning"
        assert text.startswith("1 jobs of 1 matches were given up")
        assert "footanalytics retry match-1" in text

    def test_what_waits_for_a_relay_is_counted_and_nothing_is_changed(
        self,
        doctor: Doctor,
        here: dict[str, str],
        state: RedisStateStore,
        artifacts: FolderArtifactStore,
    ) -> None:
        self.started(state, artifacts)
        nobody = {**here, "PULSAR_SERVICE_URL": f"pulsar://127.0.0.1:{free_port()}"}
        code, said = doctor(**nobody)
        assert code == 1
        assert said["pulsar"][0][0] == "failed"
        assert "check PULSAR_SERVICE_URL" in said["pulsar"][0][1]
        assert said["relay"][0][0] == "warning"
        assert "no relay has run yet, 1 events wait" in said["relay"][0][1]
        assert RELAY not in state.readers()  # or from then on the log would be kept for it
        state.read_up_to(RELAY, state.log(0)[-1].number)
        _, said = doctor(**nobody)
        assert said["relay"] == [("ok", "0 events wait")]
        artifacts.put_record(f"log/{1:020}-{9:020}-7", b"")  # what a relay spilled to storage
        _, said = doctor(**nobody)
        assert said["relay"][0][0] == "warning"
        assert said["relay"][0][1].startswith("7 events wait")


class TestPulsar:
    @pytest.fixture
    def namespace(self, pulsar_broker: PulsarServer) -> str:
        """A new one, as the broker's own settings make it."""
        name = f"public/{uuid.uuid4().hex}"
        self.ask(pulsar_broker, "PUT", name)
        return name

    def ask(self, broker: PulsarServer, method: str, path: str, body: Any = None) -> None:
        assert broker.ask(method, f"/admin/v2/namespaces/{path}", body) == 204

    def environment(
        self, here: dict[str, str], broker: PulsarServer, namespace: str
    ) -> dict[str, str]:
        return {
            **here,
            "PULSAR_SERVICE_URL": broker.url,
            "PULSAR_TENANT_NAMESPACE": namespace,
            "PULSAR_ADMIN_URL": broker.admin_url,
        }

    def test_repeats_and_retention_by_the_admin_service(
        self, doctor: Doctor, here: dict[str, str], pulsar_broker: PulsarServer, namespace: str
    ) -> None:
        environment = self.environment(here, pulsar_broker, namespace)
        code, said = doctor(**environment)
        assert code == 0
        texts = [text for _, text in said["pulsar"]]
        assert "it drops repeats" in texts  # the broker's own setting
        assert any("keeps messages that are read for 0 minutes only" in text for text in texts)
        assert not any("silent producer's numbers" in text for text in texts)  # seven days
        kept = {"retentionTimeInMinutes": 7 * 24 * 60, "retentionSizeInMB": -1}
        self.ask(pulsar_broker, "POST", f"{namespace}/retention", kept)
        self.ask(pulsar_broker, "POST", f"{namespace}/deduplication", False)
        code, said = doctor(**environment)
        assert code == 1
        assert ("ok", "it keeps messages for 7 days") in said["pulsar"]
        assert any("set brokerDeduplicationEnabled=true" in text for _, text in said["pulsar"])

    @pytest.mark.parametrize("drops", [True, False])
    def test_repeats_are_tried_where_the_admin_service_does_not_answer(
        self,
        drops: bool,
        doctor: Doctor,
        here: dict[str, str],
        pulsar_broker: PulsarServer,
        namespace: str,
    ) -> None:
        self.ask(pulsar_broker, "POST", f"{namespace}/deduplication", drops)
        environment = self.environment(here, pulsar_broker, namespace)
        nobody = f"http://me:hidden-word@127.0.0.1:{free_port()}"
        code, said = doctor(**{**environment, "PULSAR_ADMIN_URL": nobody})
        assert code == (0 if drops else 1)
        _, repeats, retention = said["pulsar"]
        assert repeats[0] == ("ok" if drops else "failed")
        assert retention[0] == "warning"
        assert "set PULSAR_ADMIN_URL" in retention[1]
        assert "hidden-word" not in retention[1]

    @pytest.mark.slow  # a broker of its own
    def test_a_broker_as_docker_compose_sets_it_up_is_well(
        self, doctor: Doctor, here: dict[str, str], tmp_path: Path
    ) -> None:
        compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
        given = compose["services"]["pulsar"]["environment"]
        lines = {name: given[name] for name in given if name[0].islower()}  # standalone.conf's
        del lines["advertisedAddress"]
        with PulsarServer(tmp_path / "pulsar", **lines) as broker:
            self.ask(broker, "PUT", "public/new")
            code, said = doctor(**self.environment(here, broker, "public/new"))
        assert code == 0
        assert [level for level, _ in said["pulsar"]] == ["ok", "ok", "ok"]
