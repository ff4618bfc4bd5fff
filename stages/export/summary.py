"""summary.json: what was seen and found, on one page; nothing in it depends on when it ran."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from application.stage import MatchFacts, WholeMatch
from domain.tables import SCHEMA_VERSION
from stages.export import told
from stages.pitch_size import PitchSize
from stages.shots import Gaps


@dataclass
class Exported:
    """What was written beside the tables, and what was asked for and could not be, and why."""

    written: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def summary(match: WholeMatch, facts: MatchFacts, exported: Exported) -> str:
    """The summary as JSON text. Parts whose tables the plan does not make are left out."""
    sections: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "video": _video(match, facts),
        "pitch": _pitch(match, facts),
        "match": told.section(match, facts),
    }
    makers = {
        "calibration": _calibration,
        "detections": _detections,
        "ball": _ball,
        "identities": _people,
        "match_events": _events,
        "formations": _formations,
        "metrics": _metrics,
    }
    sections |= {name: make(match) for name, make in makers.items() if match.has(name)}
    sections["exports"] = asdict(exported)
    sections["notes"] = told.notes(match, facts)
    return json.dumps(sections, indent=2, ensure_ascii=False) + "\n"


def _pitch(match: WholeMatch, facts: MatchFacts) -> dict[str, Any]:
    """The size that places are measured on, and the one that the pitch seems to have."""
    used = {"length_m": facts.pitch.length_m, "width_m": facts.pitch.width_m}
    if not match.has("pitch_size"):
        return used
    estimate = PitchSize.read(match)
    return {**used, "estimate": estimate.rounded() if estimate else None}


def _video(match: WholeMatch, facts: MatchFacts) -> dict[str, Any]:
    name = next((table for table in ("frames", "video_frames") if match.has(table)), None)
    size = {"width": facts.width, "height": facts.height, "frame_rate": round(facts.frame_rate, 4)}
    if name is None:
        return size
    count, decoded, last, views = 0, 0, 0.0, Counter[str]()
    for part in match.parts(name):
        count += part.num_rows
        decoded += pc.sum(part["decoded"]).as_py() or 0
        last = max(last, pc.max(part["time_s"]).as_py() or 0.0)
        if "view" in part.column_names:
            views.update(part["view"].to_pylist())
    shares = {view: round(number / max(count, 1), 4) for view, number in sorted(views.items())}
    return {
        **size,
        "frames": count,
        "frames_decoded": decoded,
        "last_frame_s": round(last, 3),
        **({"view_share": shares} if views else {}),
    }


def _calibration(match: WholeMatch) -> dict[str, Any]:
    statuses, errors = Counter[str](), [np.empty(0)]
    for part in match.parts("calibration"):
        statuses.update(part["status"].to_pylist())
        errors.append(part["error_m"].drop_null().to_numpy())
    total, known = max(statuses.total(), 1), np.concatenate(errors)
    return {
        "answered_share": round(1 - statuses["none"] / total, 4),
        "measured_share": round(statuses["measured"] / total, 4),
        "median_expected_error_m": round(float(np.median(known)), 3) if len(known) else None,
    }


def _detections(match: WholeMatch) -> dict[str, int]:
    return _counted(part["role"] for part in match.parts("detections"))


def _ball(match: WholeMatch) -> dict[str, float]:
    counts = _counted(part["status"] for part in match.parts("ball"))
    total = max(sum(counts.values()), 1)
    return {f"{status}_share": round(count / total, 4) for status, count in counts.items()}


def _people(match: WholeMatch) -> dict[str, Any]:
    table = match.table("identities")
    live = Gaps.read(match).without_replays(table)
    players: dict[str, set[str]] = {}
    for team, player in zip(live["team"].to_pylist(), live["player"].to_pylist(), strict=True):
        players.setdefault(team, set()).add(player)
    return {
        "tracks": table.num_rows,
        "people": {team: len(names) for team, names in sorted(players.items())},
    }


def _events(match: WholeMatch) -> dict[str, int]:
    return _counted(part["type"] for part in match.parts("match_events"))


def _formations(match: WholeMatch) -> list[dict[str, Any]]:
    columns = ["team", "start_s", "end_s", "phase", "label", "confidence"]
    rows = match.table("formations").select(columns).to_pylist()
    return [{**row, "confidence": round(row["confidence"], 3)} for row in rows if row["label"]]


def _metrics(match: WholeMatch) -> list[dict[str, Any]]:
    table = match.table("metrics").filter(pc.field("scope") != "player")
    columns = ["scope", "subject", "name", "value", "unit", "observed_share"]
    return [
        {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}
        for row in table.select(columns).to_pylist()
    ]


def _counted(columns: Iterator[pa.ChunkedArray]) -> dict[str, int]:
    counts = Counter[str]()
    for column in columns:
        for entry in pc.value_counts(column.combine_chunks()).to_pylist():
            counts[entry["values"]] += entry["counts"]
    return dict(sorted(counts.items()))
