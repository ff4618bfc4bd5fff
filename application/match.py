"""One match opened for work: its record, its frozen plan, its stages and its input."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from pydantic import TypeAdapter

from application.engine import Engine
from application.frame_pass import PassRunner
from application.ports import Artifact
from application.state import PipelineRecord
from domain.configuration import ProcessingConfiguration
from domain.grid import Plan, Queue
from domain.pipeline import Pipeline

_PLANS = TypeAdapter(Plan)


class PlanDocument(msgspec.Struct, frozen=True):
    """The frozen plan as it lies on storage.

    `input` names the artifact that tells how to open the input, the frame index of a video.
    `needs` says for each queue what a worker must be able to do.
    """

    plan: str
    input: Artifact | None
    needs: dict[Queue, tuple[str, ...]]

    @classmethod
    def of(
        cls, plan: Plan, opened: Artifact | None, needs: Mapping[Queue, Sequence[str]]
    ) -> "PlanDocument":
        text = _PLANS.dump_json(plan).decode()
        return cls(text, opened, {queue: tuple(sorted(each)) for queue, each in needs.items()})

    def frozen(self) -> Plan:
        return _PLANS.validate_json(self.plan)


@dataclass(frozen=True)
class OpenMatch:
    """What a worker keeps of a match between its jobs."""

    record: PipelineRecord
    engine: Engine
    passes: PassRunner
    able: Collection[str] = ()

    @property
    def reuse(self) -> bool:
        """Whether what earlier runs left may be taken."""
        return bool(self.pipeline().configuration.checkpoint_enabled)

    @property
    def plan(self) -> Plan:
        return self.engine.plan

    def pipeline(self) -> Pipeline:
        return restored(self.record)


class Matches(Protocol):
    """Opens matches for work."""

    def open(self, pipeline_id: str) -> OpenMatch:
        """The match, planned already; the last few stay open.

        Raises:
            VersionError: this worker's stages are not the ones that the plan froze.
        """


def restored(record: PipelineRecord) -> Pipeline:
    """The aggregate from what the store keeps of it."""
    configuration = ProcessingConfiguration.model_validate_json(record.configuration)
    return Pipeline(record.pipeline_id, configuration, record.state, record.attempt)
