"""Collects what nobody needs any more: state and intermediate artifacts of finished pipelines.

An artifact is kept as long as something refers to it: results, a pipeline that runs, or one that
finished less than the time to live ago. So two matches may share one, and the last one counts.
"""

import logging
import time
from collections.abc import Collection

from application import records
from application.checkpoints import Checkpoints
from application.ledger import Ledger
from application.match import Matches, PlanDocument
from application.ports import Artifact, ArtifactStore
from application.reconciler import submit_again
from application.state import PipelineRecord, StateStore
from application.worker import settle
from domain.errors import ArtifactError
from domain.pipeline import FINISHED

_log = logging.getLogger(__name__)
GRACE_S = 24 * 3600.0
"""Nothing younger is collected: a worker may have written it and not yet committed."""


class Collector:
    """Runs once in a while, in one process."""

    def __init__(
        self,
        state: StateStore,
        artifacts: ArtifactStore,
        ledger: Ledger,
        matches: Matches,
        keep_s: float,
    ) -> None:
        self._state = state
        self._artifacts = artifacts
        self._ledger = ledger
        self._matches = matches
        self._keep_s = keep_s

    def collect(self, grace_s: float = GRACE_S) -> int:
        """Remove what nothing refers to; returns how many artifacts that were."""
        self._repair()
        keys, artifacts = self._referred()
        checkpoints = Checkpoints(self._artifacts)
        for key in list(checkpoints.keys()):
            found = checkpoints.find(key)
            if found and (key in keys or found.made_at > time.time() - grace_s):
                artifacts |= {each.sha256 for each in found.artifacts()}
            else:
                checkpoints.forget(key)
        return self._remove(artifacts, grace_s)

    def _remove(self, referred: Collection[str], grace_s: float) -> int:
        removed = 0
        for artifact, written_at in list(self._artifacts.artifacts()):
            if artifact.sha256 not in referred and written_at < time.time() - grace_s:
                self._artifacts.remove(artifact)
                removed += 1
        _log.info("%d artifacts collected", removed)
        return removed

    def _repair(self) -> None:
        """Finish what a crash cut in two: a submission or an end that stands in one place only."""
        for record in self._ledger.all():
            kept = self._state.pipeline(record.pipeline_id)
            if kept is None:
                submit_again(self._state, record)
            elif kept.state in FINISHED and record.state != kept.state:
                settle(record.pipeline_id, self._state, self._ledger, self._matches)

    def _referred(self) -> tuple[set[str], set[str]]:
        """The keys of checkpoints, and the artifacts, that pipelines still need."""
        keys: set[str] = set()
        artifacts: set[str] = set()
        for record in self._ledger.all():
            if results := self._ledger.results(record.pipeline_id):
                artifacts |= {artifact.sha256 for artifact in results.files.values()}
            if record.plan and not self._is_over(record):
                artifacts.add(record.plan.sha256)
                keys |= self._needed_by(record, record.plan, artifacts)
        return keys, artifacts

    def _is_over(self, record: PipelineRecord) -> bool:
        """Finished so long ago that only its results count; then its cells are forgotten."""
        kept = self._state.pipeline(record.pipeline_id)
        over = bool(
            kept and kept.state in FINISHED and kept.finished_at < time.time() - self._keep_s
        )
        if over:
            self._state.forget_cells(record.pipeline_id)
        return over

    def _needed_by(self, record: PipelineRecord, plan: Artifact, artifacts: set[str]) -> set[str]:
        try:
            document = records.decode(bytes(self._artifacts.read(plan)), PlanDocument)
        except ArtifactError:
            return set()
        if document.input:
            artifacts.add(document.input.sha256)
        numbers = range(len(document.frozen().cells))
        return {key for key in self._state.keys(record.pipeline_id, numbers) if key}
