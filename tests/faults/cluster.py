"""A real cluster in a folder of its own: Redis, broker, workers, beat, relay, as processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import redis
from celery import Celery

from application import records
from application.checkpoints import Checkpoints
from application.match import PlanDocument
from application.state import JobStates, PipelineRecord
from deploy.servers import NoServerError, RedisServer
from domain.configuration import ProcessingConfiguration
from domain.errors import ResourceError
from domain.grid import Cell, Plan
from infrastructure.bootstrap import cluster as bootstrap
from infrastructure.invitations import STEPS, Invitations
from infrastructure.settings import Settings
from tests.faults import cannot_have, together
from tests.faults.broker import ProxiedPulsar
from tests.faults.stages import install

ROOT = Path(__file__).parents[2]
LEASE_S = 3.0
POLL_S = 0.1
DEADLINE_S = 120.0
AS_ALL: Mapping[str, str] = {}
"""Nothing that the others' environment has not."""


class Program:
    """A process of the cluster, with all that it forks, in a process group of its own."""

    def __init__(self, log: Path, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.log = log
        self._command = [sys.executable, "-m", *command]
        self._environment = {**os.environ, **environment}
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL for the process and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, limit_s: float = 25.0) -> None:
        """End it in order; what of it is left then was leaked."""
        if self.alive:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            try:
                self.process.wait(limit_s)
            except subprocess.TimeoutExpired:
                self._say_where_it_stands()

    def _say_where_it_stands(self) -> None:
        if "tests.faults.crash" in self._command:
            self.send(signal.SIGUSR2)
            time.sleep(0.5)

    @property
    def leaked(self) -> bool:
        """Whether something of its group still runs."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def said(self) -> str:
        return self.log.read_text(errors="replace")


class Cluster:
    """Servers that run; workers, beat and relay are started by the scenario."""

    def __init__(
        self, folder: Path, pulsar: ProxiedPulsar | None = None, **environment: str
    ) -> None:
        self.folder = folder
        self._pulsar = pulsar
        if pulsar:
            self._namespace = pulsar.namespace()
            environment |= {
                "PULSAR_SERVICE_URL": pulsar.server.url,
                "PULSAR_TENANT_NAMESPACE": self._namespace,
            }
        self.programs: list[Program] = []
        self.until = ExitStack()
        self.state_server = RedisServer(folder / "state")
        self.broker_server = RedisServer(folder / "broker")
        self.tmp = folder / "tmp"
        self.tmp.mkdir(parents=True)
        self.artifacts_folder = folder / "artifacts"
        self._given = environment

    def __enter__(self) -> Self:
        try:
            for server in (self.state_server, self.broker_server):
                self.until.enter_context(server)
        except NoServerError as error:
            cannot_have("Redis", error)
        self.settings = Settings.load(self.environment)
        self.cluster = bootstrap.connect(self.settings)
        self.state, self.ledger = self.cluster.state, self.cluster.ledger
        self.artifacts = self.cluster.artifacts
        self.until.callback(self.state.close)
        self.redis = redis.Redis.from_url(self.state_server.url, socket_timeout=2)
        self.until.callback(self.redis.close)
        self.broker = redis.Redis.from_url(self.broker_server.database_url(1), socket_timeout=2)
        self.until.callback(self.broker.close)
        self.app = Celery("faults", broker=self.broker_server.database_url(1))
        self.app.conf.broker_transport_options = {"priority_steps": list(STEPS.values())}
        self.until.callback(self.app.close)
        self.invitations = Invitations(self.app)
        self.service = bootstrap.service(self.cluster, self.invitations)
        return self

    def __exit__(self, *_: object) -> None:
        for program in self.programs:
            program.kill()
        self.until.close()

    @property
    def environment(self) -> dict[str, str]:
        """What every process is started with."""
        return {
            "REDIS_URL": self.state_server.url,
            "CELERY_BROKER_URL": self.broker_server.database_url(1),
            "ARTIFACT_URL": str(self.artifacts_folder),
            "PULSAR_SERVICE_URL": "",
            "LEASE_SECONDS": str(LEASE_S),
            "PYTHONPATH": f"{ROOT}:{install(self.folder / 'packages')}",
            "TMPDIR": str(self.tmp),
            "SLOW_S": "0.4",
            "SLOW_FRAMES_S": "0.4",
            "PYTHONWARNINGS": "ignore",
            **self._given,
        }

    @property
    def pulsar(self) -> ProxiedPulsar:
        assert self._pulsar, "a scenario without Pulsar"
        return self._pulsar

    def topic(self, name: str) -> str:
        return f"persistent://{self._namespace}/footanalytics.{name}"

    # -- processes

    def run(
        self,
        name: str,
        *command: str,
        crash: tuple[str, int] | None = None,
        environment: Mapping[str, str] = AS_ALL,
    ) -> Program:
        """Start `python -m command`; with `crash` it kills itself there (see crash.py)."""
        if crash:
            flag = str(self.folder / f"{crash[0]}.crashed".replace(" ", "_"))
            command = ("tests.faults.crash", crash[0], str(crash[1]), flag, *command)
        libraries = together(self.environment, environment)
        program = Program(self.folder / f"{name}.log", command, libraries)
        self.programs.append(program)
        return program

    def worker(
        self,
        name: str,
        *options: str,
        queues: str = "gpu,cpu",
        crash: tuple[str, int] | None = None,
        environment: Mapping[str, str] = AS_ALL,
    ) -> Program:
        how = options or ("--pool", "solo")
        quiet = ("--without-gossip", "--without-mingle", "-l", "info", "-n", f"{name}@%h")
        celery = ("celery", "-A", "infrastructure.celery_app", "worker", "-Q", queues)
        return self.run(name, *celery, *how, *quiet, crash=crash, environment=environment)

    def beat(self) -> Program:
        schedule = str(self.tmp / "schedule")
        return self.run("beat", "celery", "-A", "infrastructure.celery_app", "beat", "-s", schedule)

    def stop_all(self) -> list[str]:
        """End everything in order; what did not end is returned."""
        for program in self.programs:
            if program.alive:
                program.send(signal.SIGCONT)
                program.send(signal.SIGTERM)
        for program in self.programs:
            program.stop()
        return [program.log.stem for program in self.programs if program.leaked]

    # -- the match

    def submit(self, configuration: ProcessingConfiguration, **how: Any) -> str:
        return self.service.submit(configuration, owner="club", **how).pipeline_id

    def record(self, pipeline_id: str) -> PipelineRecord | None:
        try:
            return self.state.pipeline(pipeline_id)
        except ResourceError:
            return None

    def plan(self, pipeline_id: str) -> Plan:
        record = self.wait(lambda: self.record(pipeline_id), lambda found: bool(found.plan))
        return records.decode(bytes(self.artifacts.read(record.plan)), PlanDocument).frozen()

    def jobs(self, pipeline_id: str) -> JobStates:
        return self.state.jobs(pipeline_id)

    def leases(self, pipeline_id: str) -> dict[int, tuple[int, str]]:
        """Token and holder of each leased job, as they stand in Redis."""
        found: Any = self.redis.hgetall(f"footanalytics:leases:{pipeline_id}")
        parted = {int(job): text.decode().split("|") for job, text in found.items()}
        return {job: (int(token), holder) for job, (token, _, holder) in parted.items()}

    def expiry(self, pipeline_id: str, job: int) -> float:
        """When a lease runs out unless it is renewed; now, where there is none."""
        score: Any = self.redis.zscore("footanalytics:expiry", f"{job}:{pipeline_id}")
        return float(score or time.time())

    def delete_artifacts_of(self, key: str) -> None:
        """What the checkpoint of `key` promises is gone."""
        checkpoint = Checkpoints(self.artifacts).find(key)
        assert checkpoint
        for artifact in checkpoint.artifacts():
            self.artifacts.remove(artifact)

    def held(self, pipeline_id: str, cell: str) -> str:
        """Wait until somebody works on the cell; returns the holder."""
        plan = self.plan(pipeline_id)
        job = plan.job_of[Cell.parse(cell)].number
        return str(self.wait(lambda: self.leases(pipeline_id).get(job))[1])

    def by_holder(self, holder: str) -> Program:
        """The program that the holder of a lease belongs to."""
        pid = int(holder.rpartition(":")[2])
        return next(p for p in self.programs if pid in (p.pid, *children(p.pid)))

    def wait(
        self,
        look: Callable[[], Any],
        good: Callable[[Any], bool] = bool,
        limit_s: float = DEADLINE_S,
    ) -> Any:
        """What `look` sees as soon as it is there and good."""
        deadline = time.monotonic() + limit_s
        while True:
            with suppress(ResourceError, redis.RedisError):
                found = look()
                if found is not None and good(found):
                    return found
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {limit_s:.0f} s: see {self.folder}")
            time.sleep(POLL_S)


def children(pid: int) -> list[int]:
    """The processes that this one forked and that still run."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(each) for each in listed.read_text().split()] if listed.exists() else []
