"""One match, one fault, and what must be true when it is over."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kloppy.tests
import redis

from application.state import JobStates
from domain.configuration import STAGES, ProcessingConfiguration
from domain.errors import ResourceError
from domain.grid import END, Cell, Plan
from domain.pipeline import FINISHED, EventKind, PipelineState
from tests.faults.broken_disk import BrokenDisk
from tests.faults.cluster import DEADLINE_S, POLL_S, ROOT, Cluster, Program, children
from tests.faults.stages import NAMES, install
from tests.matches import results

SAMPLES = Path(kloppy.tests.__file__).parent / "files"
PROMISE_S = 10.0
TRACKED: Mapping[str, Any] = {
    "video_path": [
        str(SAMPLES / "second_spectrum_fake_metadata.xml"),
        str(SAMPLES / "second_spectrum_fake_data.jsonl"),
    ],
    "segment_s": 3.0,
    "batch_size": 16,
    "stages": [*STAGES, *NAMES],
}
"""15 s of tracking data in 6 segments, and the two slow stages."""


def undisturbed(values: Mapping[str, Any], folder: Path) -> dict[str, bytes]:
    """The files of a run of the command line: no servers, no workers, no faults."""
    folder.mkdir(parents=True)
    configuration = folder / "configuration.json"
    configuration.write_text(ProcessingConfiguration.parse(dict(values)).model_dump_json())
    inputs = values["video_path"]
    paths = [inputs] if isinstance(inputs, str) else inputs
    out = folder / "out"
    command = ["-m", "api.command_line", "analyze", *paths, "--out", str(out)]
    subprocess.run(
        [sys.executable, *command, "--config", str(configuration)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{install(folder / 'packages')}"},
        check=True,
        capture_output=True,
    )
    return results(out)


@dataclass
class Rig:
    """A cluster with a match in it, and the fault's beginning and end.

    `expected` are the files of an undisturbed run, `notes` go into the report.
    """

    cluster: Cluster
    expected: Mapping[str, bytes]
    values: Mapping[str, Any] = field(default_factory=lambda: TRACKED)
    pipeline_id: str = ""
    kills: int = 0
    may_leave: int = 0
    disk: BrokenDisk | None = None
    started_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    affected: dict[int, int] = field(default_factory=dict)
    again: dict[int, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def submit(self, **how: Any) -> str:
        configuration = ProcessingConfiguration.parse(dict(self.values))
        self.pipeline_id = self.cluster.submit(configuration, **how)
        return self.pipeline_id

    def start(self, workers: int = 2, **how: Any) -> list[Program]:
        """Beat, and workers that are all alike; then the match is submitted."""
        made = [self.cluster.worker(f"worker{n}", **how) for n in range(workers)]
        self.cluster.beat()
        self.ready(workers)
        self.submit()
        return made

    def ready(self, workers: int) -> None:
        """Wait until so many workers are registered."""
        self.cluster.wait(self.cluster.state.workers, lambda found: len(found) >= workers)

    def held(self, cell: str) -> Program:
        """Wait until somebody works on the cell; returns whose process that is."""
        return self.cluster.by_holder(self.cluster.held(self.pipeline_id, cell))

    # -- the fault

    def affects_all(self) -> None:
        """Every job that is leased now must be leased again, or done, soon after the end."""
        self.affected |= {
            job: token for job, (token, _) in self.cluster.leases(self.pipeline_id).items()
        }

    def ends(self, at: float | None = None) -> None:
        self.ended_at = max(self.ended_at or 0.0, at or time.time())

    def kill(self, program: Program) -> None:
        """SIGKILL; the fault ends when the leases that it held run out."""
        pids = {program.pid, *children(program.pid)}
        program.kill()
        self.was_killed(pids)

    def was_killed(self, pids: set[int]) -> None:
        self.kills += 1
        self.ends()
        for job, (token, holder) in self.cluster.leases(self.pipeline_id).items():
            if int(holder.rpartition(":")[2]) in pids:
                self.affected[job] = token
                self.ends(self.cluster.expiry(self.pipeline_id, job))

    def dies_by_itself(self, programs: Sequence[Program], limit_s: float = 60.0) -> Program:
        """Wait until one of the programs killed itself."""
        dead = self.cluster.wait(
            lambda: [each for each in programs if not each.alive], limit_s=limit_s
        )[0]
        assert isinstance(dead, Program)
        assert dead.process.returncode == -signal.SIGKILL, dead.said()[-2000:]
        self.was_killed({dead.pid})
        return dead

    def affects(self, program: Program) -> None:
        """The jobs that the program holds must be leased again soon after the fault's end."""
        for job, (token, holder) in self.cluster.leases(self.pipeline_id).items():
            if int(holder.rpartition(":")[2]) in {program.pid, *children(program.pid)}:
                self.affected[job] = token

    def affects_ready(self) -> None:
        """So must every job that waits for a worker now."""
        self.affected |= dict.fromkeys(self.cluster.jobs(self.pipeline_id).ready, 0)

    def affects_troubled(self) -> None:
        """So must every job that failed."""
        for trouble in self.cluster.jobs(self.pipeline_id).troubles:
            assert not trouble.dead, trouble
            self.affected[trouble.job] = 0

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Whatever dies is started again, as a supervisor of services does."""
        over = threading.Event()
        thread = threading.Thread(target=self._restart_the_dead, args=(over,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _restart_the_dead(self, over: threading.Event) -> None:
        while not over.wait(0.5):
            for program in self.cluster.programs:
                if not program.alive:
                    self.kills += 1
                    program.start()

    def stall(self, program: Program) -> None:
        """SIGSTOP; the fault ends when its leases run out."""
        program.send(signal.SIGSTOP)
        self.affects(program)
        for job in self.affected:
            self.ends(self.cluster.expiry(self.pipeline_id, job))

    def until_again(self) -> None:
        """Wait until every affected job is leased by somebody else, or done."""

        def look() -> bool:
            self._see(self.cluster.jobs(self.pipeline_id))
            return not set(self.affected) - set(self.again)

        self.cluster.wait(look)

    def program(self, name: str) -> Program:
        return next(each for each in self.cluster.programs if each.log.stem == name)

    @property
    def beat(self) -> Program:
        return self.program("beat")

    def holds(self, name: str) -> bool:
        """Whether the program works on a job that is no admission."""
        pid = self.program(name).pid
        leases = self.cluster.leases(self.pipeline_id)
        return any(job >= 0 and holder.endswith(f":{pid}") for job, (_, holder) in leases.items())

    # -- the end

    def finish(self, wanted: str = "completed", limit_s: float = DEADLINE_S) -> None:
        """Wait for the end of the match, and hold every promise against what is there."""
        self._watch(limit_s)
        record = self.cluster.state.pipeline(self.pipeline_id)
        assert record
        assert record.state == wanted, f"{record.state}: {record.error}"
        if wanted == "completed":
            self.check_results()
        self.check_log()
        self.check_nothing_held()
        self.check_recovery()
        self.check_leaks()

    def finish_first(self) -> None:
        """Wait for the end of the match; `finish` comes later."""
        self._watch(DEADLINE_S)

    def wait_for(self, *states: str) -> None:
        self.cluster.wait(
            lambda: self.cluster.record(self.pipeline_id), lambda found: found.state in states
        )

    def exports(self, plan: Plan) -> set[int]:
        """The jobs that come after all others."""
        ends = {Cell("export", END), Cell("slow", END)}
        return {plan.job_of[cell].number for cell in ends}

    def _watch(self, limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            record = self.cluster.record(self.pipeline_id)
            over = record is not None and record.state in FINISHED
            try:
                self._see(self.cluster.jobs(self.pipeline_id))
            except (ResourceError, redis.RedisError):
                over = False
            if over and self._settled():
                return
            time.sleep(POLL_S)
        raise AssertionError(f"no end within {limit_s:.0f} s: {self._where()}")

    def _settled(self) -> bool:
        """Whether the storage knows the end as well."""
        record = self.cluster.ledger.find(self.pipeline_id)
        return record is not None and record.state in FINISHED

    def _see(self, jobs: JobStates) -> None:
        leases = self.cluster.leases(self.pipeline_id)
        for job, token in self.affected.items():
            leased_anew = job in leases and leases[job][0] != token
            if job not in self.again and (job in jobs.done or leased_anew):
                self.again[job] = time.time()

    def _where(self) -> str:
        record = self.cluster.record(self.pipeline_id)
        try:
            jobs: JobStates | None = self.cluster.jobs(self.pipeline_id)
        except ResourceError:
            jobs = None
        return f"{record} {jobs} in {self.cluster.folder}"

    @property
    def recovery_s(self) -> float | None:
        """Seconds from the fault's end until the last affected job was leased again, or done."""
        if self.ended_at is None or not self.affected:
            return None
        return max([0.0, *(at - self.ended_at for at in self.again.values())])

    def check_results(self) -> None:
        kept = self.cluster.wait(lambda: self.cluster.ledger.results(self.pipeline_id))
        found = {
            name: bytes(self.cluster.artifacts.read(artifact))
            for name, artifact in kept.files.items()
        }
        assert found.keys() == self.expected.keys()
        differing = [name for name in found if found[name] != self.expected[name]]
        assert not differing, f"not as in an undisturbed run: {differing}"

    def check_log(self) -> None:
        """Each cell of a completed match was reported once, in this state's log."""
        record = self.cluster.state.pipeline(self.pipeline_id)
        events = [
            entry.event
            for entry in self.cluster.state.log(0, 10_000)
            if entry.event.pipeline_id == self.pipeline_id
        ]
        keys = Counter(
            (event.cell, event.key) for event in events if event.kind is EventKind.CELL_COMPLETED
        )
        cells = {cell for cell, _ in keys}
        twice = [str(cell) for (cell, _), count in keys.items() if count > 1]
        assert not twice, f"completed more than once: {twice}"
        ends = [event.kind.value for event in events if event.kind.value in ENDS]
        assert record
        if record.state is PipelineState.COMPLETED and "relay" not in self.running:
            plan = self.cluster.plan(self.pipeline_id)
            assert cells == set(plan.cells), f"unreported: {set(plan.cells) - cells}"
            assert ends[-1] == "PipelineCompleted"
            assert ends.count("PipelineCompleted") == 1

    @property
    def running(self) -> set[str]:
        return {program.log.stem for program in self.cluster.programs}

    def check_nothing_held(self) -> None:
        jobs = self.cluster.jobs(self.pipeline_id)
        assert not jobs.leased
        assert not jobs.ready
        found: Any = self.cluster.redis.keys("footanalytics:*")
        keys: list[str] = [key.decode() for key in found]
        kinds = {key.split(":")[1] for key in keys}
        leaked = kinds & {"expiry", "delayed", "leases", "ready", "queue", "slots", "active"}
        assert not leaked, f"left in Redis: {sorted(leaked)}"

    def check_recovery(self) -> None:
        missing = set(self.affected) - set(self.again)
        assert not missing, f"jobs {sorted(missing)} were never leased again"
        recovery = self.recovery_s
        assert recovery is None or recovery <= PROMISE_S, f"leased again after {recovery:.1f} s"

    def check_leaks(self) -> None:
        """No process, no file: only a killed process may leave one, for the collector."""
        assert not (still := self.cluster.stop_all()), f"still running: {still}"
        left = list((self.cluster.artifacts_folder / "tmp").iterdir())
        assert len(left) <= self.kills + self.may_leave, f"left in artifacts/tmp: {left}"
        old = [path for path in left if path.stat().st_mtime < self.started_at]
        assert not old
        self.cluster.artifacts.clear_temporary(older_than_s=0)
        assert not list((self.cluster.artifacts_folder / "tmp").iterdir())
        scratch = [path.name for path in self.cluster.tmp.iterdir() if path.name != "schedule"]
        assert len(scratch) <= self.kills, f"left in the temporary folder: {scratch}"


ENDS = {"PipelineCompleted", "PipelineFailed", "PipelineCancelled"}
