"""Records of pipelines on storage: what must outlive the state store, so that it can be rebuilt."""

import logging
from collections.abc import Iterator, Mapping

import msgspec

from application import records
from application.ports import Artifact, ArtifactStore
from application.state import PipelineRecord, StateStore
from domain.errors import ResourceError
from domain.pipeline import FINISHED

_log = logging.getLogger(__name__)
_GENERATION = "generation"
_COMPLETED = "generation-completed"


class Results(msgspec.Struct, frozen=True):
    """What a completed match left for the user: whole files by name, and its tables' parts."""

    files: dict[str, Artifact]


class Ledger:
    """The pipelines' records; each is written whole, before what it says is acknowledged."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts

    def keep(self, record: PipelineRecord) -> None:
        self._artifacts.put_record(_pipeline(record.pipeline_id), records.encode(record))

    def keep_as_it_is(self, record: PipelineRecord, state: StateStore) -> None:
        """Keep what this process knows, unless somebody changed the pipeline in the meantime.

        Then what the state says counts, and a pipeline that was deleted stays deleted.
        """
        self.keep(record)
        now = state.pipeline(record.pipeline_id)
        if now is None:
            self.delete(record.pipeline_id)
        elif now.state in FINISHED or now.attempt != record.attempt:
            self.keep(now)

    def keep_first(self, record: PipelineRecord) -> PipelineRecord:
        """Keep a new pipeline's record; where its id is known, the earlier record is returned."""
        name, data = _pipeline(record.pipeline_id), records.encode(record)
        return records.decode(self._artifacts.put_first(name, data), PipelineRecord)

    def find(self, pipeline_id: str) -> PipelineRecord | None:
        data = self._artifacts.read_record(_pipeline(pipeline_id))
        return records.decode(data, PipelineRecord) if data else None

    def all(self) -> Iterator[PipelineRecord]:
        """Every pipeline, in no order; a record that cannot be read is named and left out."""
        for name in self._artifacts.records("pipelines"):
            try:
                data = self._artifacts.read_record(name)
                if data:
                    yield records.decode(data, PipelineRecord)
            except (msgspec.DecodeError, ResourceError) as error:
                _log.error("record %s cannot be read: %s", name, error)

    def keep_results(self, pipeline_id: str, files: Mapping[str, Artifact]) -> None:
        results = Results(dict(files))
        self._artifacts.put_record(_results(pipeline_id), records.encode(results))

    def results(self, pipeline_id: str) -> Results | None:
        data = self._artifacts.read_record(_results(pipeline_id))
        return records.decode(data, Results) if data else None

    def delete(self, pipeline_id: str) -> None:
        """Forget the pipeline; its artifacts are collected later."""
        self._artifacts.remove_record(_results(pipeline_id))
        self._artifacts.remove_record(_pipeline(pipeline_id))

    def next_generation(self) -> int:
        """A number that no state store which began on this storage had before."""
        generation = max(self._number(_GENERATION), self.completed()) + 1
        self._artifacts.put_record(_GENERATION, str(generation).encode())
        return generation

    def completed(self) -> int:
        """The last generation of the state in which all pipelines were there; 0 before any."""
        return self._number(_COMPLETED)

    def keep_completed(self, generation: int) -> None:
        self._artifacts.put_record(_COMPLETED, str(generation).encode())

    def _number(self, name: str) -> int:
        return int(self._artifacts.read_record(name) or b"0")


def _pipeline(pipeline_id: str) -> str:
    return f"pipelines/{pipeline_id}"


def _results(pipeline_id: str) -> str:
    return f"results/{pipeline_id}"
