"""One match opened for work: its record, its frozen plan, its stages and its input."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from pydantic import TypeAdapter

from application.engine import Engine
from application.ports import Artifact, PassOutcome
from application.state import PipelineRecord
from domain.grid import Plan, Queue
from domain.pipeline import Pipeline

_PLANS = TypeAdapter(Plan)


class PlanDocument(msgspec.Struct, frozen=True):
    """The frozen plan as it lies on storage.

    `input` names the artifact that tells how to open the input, the frame index of a video.
    `needs` says for each queue what a worker must be able to do. `told` are the keys of the cells
    whose completion was logged under an earlier plan of the match.
    """

    plan: str
    input: Artifact | None
    needs: dict[Queue, tuple[str, ...]]
    told: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        plan: Plan,
        opened: Artifact | None,
        needs: Mapping[Queue, Sequence[str]],
        told: Collection[str] = (),
    ) -> "PlanDocument":
        text = _PLANS.dump_json(plan).decode()
        sorted_needs = {queue: tuple(sorted(each)) for queue, each in needs.items()}
        return cls(text, opened, sorted_needs, frozenset(told))

    def frozen(self) -> Plan:
        return _PLANS.validate_json(self.plan)


class Passes(Protocol):
    """Runs passes of one match: here (`PassRunner`), or in another process."""

    def run(
        self, segment: int, names: Sequence[str], on_frames: Callable[[int], None]
    ) -> PassOutcome:
        """Run the stages named over a segment and write their tables; errors become the outcome.

        What `on_frames` raises ends the pass.
        """


@dataclass(frozen=True)
class OpenMatch:
    """What a worker keeps of a match between its jobs."""

    record: PipelineRecord
    engine: Engine
    passes: Passes
    reuse: bool = True
    """Whether what earlier runs left may be taken."""
    told: Collection[str] = frozenset()

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
    """The aggregate from what the store keeps of it, without its configuration."""
    return Pipeline(record.pipeline_id, None, record.state, record.attempt)
