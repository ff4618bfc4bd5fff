"""What came of the fault matrix, as a page for docs/."""

import json
import os
import platform
import statistics
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from deploy.servers import PULSAR_VERSION
from tests.faults.cluster import LEASE_S
from tests.faults.rig import PROMISE_S
from tests.faults.scenario import SCENARIOS, Scenario

TEXT = """\
# Reliability: the fault matrix

Written by `make faults` (`python -m tests.faults.matrix --report docs/reliability.md`), which plays
each scenario with real processes: two Redis servers, two Celery workers, beat and, where it says
so, Apache Pulsar behind a proxy and the relay. A match is submitted, one thing goes wrong (or two),
and when the match has ended these must hold, or the scenario has failed:

1. the result files are byte-identical to those of an undisturbed `footanalytics analyze`;
2. each cell was reported as completed once for its key, in the state's log; where Pulsar takes
   part, a consumer which drops no repeats has seen every fact once;
3. whatever job the fault hit was leased again, or done, within {promise:.0f} s of the fault's end,
   which for a killed or stopped worker is the end of its lease;
4. no lease, ready job, slot or process is left, and no file but what a killed process was writing,
   which the collector removes after a day.

Recovery is the time of point 3; "-" is where the fault hit no leased job. Leases last {lease:.0f} s
here, 30 s by default (`LEASE_SECONDS`): with the default a killed worker's job waits up to 30 s
before recovery begins. The match is 15 s of tracking data in 5 segments with two slow stages of an
outside package, 0.4 s to 2 s a cell, so that faults meet a cell at work; the scenarios of the group
"video" run 3 s of 720p video through all stages.

{conditions}

{summary}

| group | scenario | result | recovery (s) | took (s) | notes |
|---|---|---|---:|---:|---|
{rows}

Not here: a GPU that runs out of memory is tested where the network is called
(tests/test_inference.py).
"""


@dataclass(frozen=True)
class Outcome:
    """How a scenario went: `result` is passed, failed or skipped."""

    scenario: Scenario
    result: str
    recovery_s: float | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def recovery(self) -> str:
        return "-" if self.recovery_s is None else f"{self.recovery_s:.1f}"

    @property
    def line(self) -> str:
        start = f"{self.result:8}{self.seconds:6.1f} s  recovery {self.recovery:>4}"
        return f"{start}  {self.scenario.title}  {'; '.join(self.notes)}"

    @property
    def row(self) -> str:
        notes = "; ".join(self.notes).replace("|", "\\|")
        cells = (
            self.scenario.group,
            self.scenario.name,
            self.result if self.result == "passed" else f"**{self.result}**",
            self.recovery,
            f"{self.seconds:.0f}",
            notes,
        )
        return f"| {' | '.join(cells)} |"


def merged(file: Path, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """These and, of the scenarios that were not played now, what the file has; it is rewritten."""
    known = json.loads(file.read_text()) if file.exists() else {}
    known |= {
        each.scenario.name: [each.result, each.recovery_s, each.seconds, each.notes]
        for each in outcomes
    }
    file.write_text(json.dumps(known, indent=1))
    return [
        Outcome(scenario, result, recovery_s, seconds, tuple(notes))
        for name, scenario in SCENARIOS.items()
        if name in known
        for result, recovery_s, seconds, notes in [known[name]]
    ]


def page(outcomes: Sequence[Outcome], jobs: int = 1) -> str:
    return TEXT.format(
        promise=PROMISE_S,
        lease=LEASE_S,
        conditions=_conditions(jobs),
        summary=_summary(outcomes),
        rows="\n".join(outcome.row for outcome in outcomes),
    )


def _conditions(jobs: int) -> str:
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    packages = ", ".join(f"{name} {version(name)}" for name in ("celery", "kombu", "redis"))
    return textwrap.fill(
        f"Conditions: {day}, {len(os.sched_getaffinity(0))} CPU cores that other work may share, "
        f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}, "
        f"{packages} (the Python packages), Pulsar {PULSAR_VERSION}; "
        f"{jobs} scenario{'' if jobs == 1 else 's'} at a time.",
        100,
    )


def _summary(outcomes: Sequence[Outcome]) -> str:
    passed = sum(outcome.result == "passed" for outcome in outcomes)
    times = [outcome.recovery_s for outcome in outcomes if outcome.recovery_s is not None]
    text = f"{passed} of {len(outcomes)} scenarios passed"
    if times:
        middle = statistics.median(times)
        text += f"; recovery took {middle:.1f} s in the median and {max(times):.1f} s at most"
    return f"{text}."
