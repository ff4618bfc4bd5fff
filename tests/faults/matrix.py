"""The fault matrix: `python -m tests.faults.matrix [--report FILE] [--only TEXT]`.

Plays every scenario with real processes and writes what came of it.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.faults import (  # noqa: F401  each adds its scenarios to the list
    on_matches,
    on_messages,
    on_pairs,
    on_pulsar,
    on_redis,
    on_storage,
    on_video,
    on_workers,
)
from tests.faults.broker import ProxiedPulsar, proxied_pulsar
from tests.faults.cluster import Cluster
from tests.faults.report import Outcome, merged, page
from tests.faults.rig import TRACKED, Rig, undisturbed
from tests.faults.scenario import SCENARIOS, Scenario
from tests.matches import render_match

VIDEO_S = 3.0


class Stage:
    """What the scenarios share: the undisturbed results, the video, the Pulsar; made when asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.until = ExitStack()

    @cached_property
    def tracked(self) -> Mapping[str, bytes]:
        return undisturbed(TRACKED, self.folder / "tracked")

    @cached_property
    def video(self) -> Mapping[str, Any]:
        return {
            "video_path": str(render_match(self.folder / "video", VIDEO_S)),
            "segment_s": 1.0,
            "stage_configs": {"player_detection": {"image_size": 320}},
        }

    @cached_property
    def filmed(self) -> Mapping[str, bytes]:
        return undisturbed(self.video, self.folder / "filmed")

    @cached_property
    def pulsar(self) -> ProxiedPulsar:
        return self.until.enter_context(proxied_pulsar(self.folder / "pulsar"))

    def prepare(self, scenarios: Sequence[Scenario]) -> None:
        """Make what these need, here: servers die with the thread that started them."""
        if any(each.pulsar for each in scenarios):
            _ = self.pulsar
        if any(each.video for each in scenarios):
            _ = self.filmed
        if any(not each.video for each in scenarios):
            _ = self.tracked

    @contextmanager
    def rigged(self, scenario: Scenario, folder: Path) -> Iterator[Rig]:
        pulsar = self.pulsar if scenario.pulsar else None
        with Cluster(folder, pulsar, **scenario.environment) as cluster:
            if scenario.video:
                yield Rig(cluster, self.filmed, self.video)
            else:
                yield Rig(cluster, self.tracked)


def play(stage: Stage, scenario: Scenario, folder: Path) -> Outcome:
    """Play one scenario; its folder is removed when all went well."""
    started = time.monotonic()
    made: list[Rig] = []
    outcome = Outcome(scenario, "failed")
    try:
        with stage.rigged(scenario, folder) as rig:
            made.append(rig)
            scenario.play(rig)
        outcome = replace(outcome, result="passed")
        shutil.rmtree(folder, ignore_errors=True)
    except pytest.skip.Exception as reason:
        outcome = replace(outcome, result="skipped", notes=(str(reason),))
    except Exception as error:  # the report's edge: the others are played all the same
        text = " ".join(f"{type(error).__name__}: {error}".split())
        outcome = replace(outcome, notes=(text[:500],))
    return replace(
        outcome,
        recovery_s=made[0].recovery_s if made else None,
        seconds=time.monotonic() - started,
        notes=(*(made[0].notes if made else ()), *outcome.notes),
    )


def lanes(chosen: Sequence[Scenario]) -> list[list[Scenario]]:
    """What may be played at the same time: the scenarios with Pulsar share one, in a row."""
    shared = [each for each in chosen if each.pulsar]
    alone = [[each] for each in chosen if not each.pulsar]
    return [shared, *alone] if shared else alone


def play_all(chosen: Sequence[Scenario], base: Path, jobs: int) -> list[Outcome]:
    """The outcomes, in the order of the scenarios."""
    stage = Stage(base)
    outcomes: dict[str, Outcome] = {}

    def play_lane(lane: Sequence[Scenario]) -> None:
        for scenario in lane:
            number = list(SCENARIOS).index(scenario.name)
            outcomes[scenario.name] = play(stage, scenario, base / str(number))
            print(outcomes[scenario.name].line, flush=True)

    with stage.until:
        stage.prepare(chosen)
        with ThreadPoolExecutor(jobs) as pool:
            played = [pool.submit(play_lane, lane) for lane in lanes(chosen)]
            try:
                for lane in played:
                    lane.result()
            finally:  # told to stop: what is being played ends in order, the others do not begin
                pool.shutdown(cancel_futures=True)
    return [outcomes[scenario.name] for scenario in chosen]


def main() -> int:
    parser = argparse.ArgumentParser(description="Plays the fault matrix with real processes.")
    parser.add_argument("--report", type=Path, help="the page to write")
    parser.add_argument("--only", default="", help="scenarios with this text in 'group: name'")
    parser.add_argument("--outcomes", type=Path, help="kept from run to run, the latest of each")
    parser.add_argument("--jobs", type=int, default=1, help="scenarios at the same time")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    base = Path(tempfile.mkdtemp(prefix="faults-"))
    chosen = [each for each in SCENARIOS.values() if options.only in each.title]
    outcomes = play_all(chosen, base, options.jobs)
    if options.outcomes:
        outcomes = merged(options.outcomes, outcomes)
    if options.report:
        options.report.write_text(page(outcomes, options.jobs))
    failed = [outcome for outcome in outcomes if outcome.result == "failed"]
    if failed:
        print(f"{len(failed)} failed: see {base}", file=sys.stderr)
    else:
        shutil.rmtree(base, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
