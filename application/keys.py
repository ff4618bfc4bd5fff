"""A cell's key: everything that decides its result, and nothing else, as one hash."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from application.ports import Artifact
from domain.grid import PlannedStage, Segment

TableInput = tuple[str, str, int]


def source_key(stage: PlannedStage, pixels_id: str, segment: Segment) -> str:
    """The key of a source stage's cell: the pixels, and which of them are owned."""
    owned = [segment.number, segment.first, segment.end]
    return _hash(stage, {"pixels": pixels_id, "owned": owned})


def timeline_key(
    stage: PlannedStage, inputs: Sequence[TableInput], carried: Artifact | None
) -> str:
    """The key of a timeline stage's cell.

    Args:
        inputs: name, hash and watermark of each table that the cell reads.
        carried: the state from the segment before; None at the first.
    """
    return _hash(stage, {"inputs": list(inputs), "carried": carried.sha256 if carried else None})


def end_key(
    stage: PlannedStage,
    inputs: Sequence[TableInput],
    carried: Artifact | None,
    whole: Sequence[TableInput],
    pixels_id: str | None,
) -> str:
    """The key of an END cell, which also reads `whole` tables and perhaps the pixels."""
    return _hash(
        stage,
        {
            "end": True,
            "inputs": list(inputs),
            "carried": carried.sha256 if carried else None,
            "whole": list(whole),
            "pixels": pixels_id,
        },
    )


def _hash(stage: PlannedStage, inputs: dict[str, Any]) -> str:
    facts = dict(stage.key_facts)
    if inputs.get("end"):
        facts["at_end"] = dict(stage.end_facts)
    identity = {"stage": stage.name, "version": stage.version, "facts": facts}
    text = json.dumps({**identity, **inputs}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
