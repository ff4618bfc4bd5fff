"""Toy matches on a real store, with instruments of their own."""

import time
from pathlib import Path

from application.admission import Admitter
from application.hold import Renewer
from application.service import Service
from application.worker import Ability, Worker
from domain.pipeline import PipelineState
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore
from infrastructure.telemetry.instruments import Telemetry
from infrastructure.telemetry.match_spans import MatchSpans
from infrastructure.telemetry.traces import Spans
from infrastructure.telemetry.work_metrics import WorkMetrics
from tests.toy_match import ABLE, SEGMENTS, Happening, ToyCluster

JOBS = SEGMENTS * 2 + 3 + 1
"""Of the toy match: look and walk on each segment, three END cells, the admission."""


class TracedToys:
    """A toy cluster with instruments of its own."""

    def __init__(self, folder: Path, spans: Spans | None, happening: Happening) -> None:
        self.state = SQLiteStateStore(folder / "state.sqlite")
        self.spans = spans
        self.metrics = WorkMetrics()
        made = MatchSpans(spans) if spans else None
        self.telemetry = Telemetry(self.state, "w", made, self.metrics)
        artifacts = FolderArtifactStore(folder / "artifacts")
        self.toys = ToyCluster(self.state, artifacts, happening)
        self.service = Service(
            self.state, self.toys.ledger, lambda *_: None, time.time, self.telemetry
        )
        self.toys.service = self.service

    def run(self) -> None:
        """Take jobs until none is left, whatever is put off for a while."""
        self.toys.worker()
        worker = Worker(
            self.state,
            self.toys.ledger,
            self.toys,
            Admitter(self.state, self.toys.artifacts, self.toys.ledger, self.toys.plan),
            Ability("w", ABLE),
            Renewer(self.state, 30.0, 1e9, lambda _: None, lambda: False, self.telemetry),
            lambda *_: None,
            self.telemetry,
        )
        while self.state.pipelines(state=PipelineState.RUNNING) or self.state.pipelines(
            state=PipelineState.QUEUED
        ):
            if not (worker.take("cpu") or worker.take("gpu")):
                self.state.expire(3, "lost")
                time.sleep(0.02)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"footanalytics_{name}", labels) or 0.0


def nothing(_stage: str, _frame: int) -> None: ...
