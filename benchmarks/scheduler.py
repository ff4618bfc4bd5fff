"""How many jobs the Redis store schedules: `python benchmarks/scheduler.py REDIS_URL`.

Simulated workers claim jobs of real plans, "work" for a set time without computing, and commit. A
process holds many of them. Prints one JSON object; docs/scaling.md says under what conditions its
figures were taken.
"""

import argparse
import heapq
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis

sys.path.insert(0, str(Path(__file__).parents[1]))

from application.ports import Artifact
from application.state import ADMISSION, Admission, Lease, PipelineRecord
from domain.grid import Plan, PlannedStage, Queue, Segment
from domain.pipeline import DomainEvent, EventKind
from infrastructure.state.redis import RedisStateStore

STAGES = 10
KEY = "ab" * 32


def plan_of(segments: int) -> Plan:
    """A match of so many segments: 3 source stages, 7 timeline stages one behind the other."""
    stages = [PlannedStage(f"s{n}", 1, "source", (f"t{n}",)) for n in range(3)]
    stages += [
        PlannedStage(f"s{n}", 1, "timeline", (f"t{n}",), requires=(f"t{n - 1}",))
        for n in range(3, STAGES)
    ]
    pieces = (Segment(n, n, n + 1, 20.0 * n, 20.0 * n + 20) for n in range(segments))
    return Plan(tuple(stages), tuple(pieces))


def admission_of(plan: Plan) -> Admission:
    ready = tuple((job.number, plan.queue_of(job)) for job in plan.runnable(()))
    return Admission(Artifact("0" * 64, 1), len(plan.jobs), len(plan.cells), ready)


def open_store(url: str) -> RedisStateStore:
    store = RedisStateStore(url, max_running=64, max_per_owner=64)
    store.begin(1)
    return store


def submit(url: str, matches: int) -> float:
    """Queue so many matches; returns submissions a second."""
    store = open_store(url)
    started = time.perf_counter()
    for number in range(matches):
        configuration = json.dumps({"video_path": [f"match-{number}.mp4"]})
        record = PipelineRecord(f"p{number}", configuration, owner=f"club {number % 50}")
        store.submit(record, [DomainEvent(EventKind.PIPELINE_SUBMITTED, f"p{number}")])
    return matches / (time.perf_counter() - started)


class Workers:
    """Simulated workers of one process."""

    def __init__(self, url: str, plan: Plan, count: int, pass_s: float, cell_s: float) -> None:
        self.store = open_store(url)
        self.plan = plan
        self.admission = admission_of(plan)
        self.free = count
        self.work_s: dict[Queue, float] = {"gpu": pass_s, "cpu": cell_s}
        self.busy: list[tuple[float, int, Lease]] = []
        self.jobs = self.cells = self.admitted = 0
        self.claims: list[float] = []

    def run(self, seconds: float) -> dict[str, Any]:
        end = time.perf_counter() + seconds
        while (now := time.perf_counter()) < end:
            while self.busy and self.busy[0][0] <= now:
                self._finish(heapq.heappop(self.busy)[2])
            if not (self.free and (self._begin("cpu") or self._begin("gpu"))):
                time.sleep(0.002)
        return {
            "jobs": self.jobs,
            "cells": self.cells,
            "admitted": self.admitted,
            "claims": self.claims,
        }

    def _begin(self, queue: Queue) -> bool:
        started = time.perf_counter()
        lease = self.store.claim(queue, (), "simulated", 60)
        self.claims.append(time.perf_counter() - started)
        if lease is None:
            return False
        if lease.job == ADMISSION:
            self.store.admit(lease, self.admission, ())
            self.admitted += 1
        else:
            self.free -= 1
            until = time.perf_counter() + self.work_s[queue]
            heapq.heappush(self.busy, (until, lease.token, lease))
        return True

    def _finish(self, lease: Lease) -> None:
        job = self.plan.jobs[lease.job]
        keys = {self.plan.cell_numbers[cell]: KEY for cell in job.cells}
        events = [
            DomainEvent(EventKind.CELL_COMPLETED, lease.pipeline_id, cell, key=KEY)
            for cell in job.cells
        ]
        self.store.commit(lease, keys, self.plan.followers(job), events)
        self.free += 1
        self.jobs += 1
        self.cells += len(job.cells)


def work(given: tuple[str, int, int, float, float, float]) -> dict[str, Any]:
    url, segments, count, pass_s, cell_s, seconds = given
    return Workers(url, plan_of(segments), count, pass_s, cell_s).run(seconds)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    client = redis.Redis.from_url(options.redis_url)
    client.flushdb()
    queued_per_s = submit(options.redis_url, options.matches)
    waiting = client.info("memory")["used_memory"]
    client.config_resetstat()
    share = options.workers // options.processes
    given = (
        options.redis_url,
        options.segments,
        share,
        options.pass_s,
        options.cell_s,
        options.seconds,
    )
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        results = pool.map(work, [given] * options.processes)
    info, stats = client.info(), client.info("commandstats")
    cells = sum(result["cells"] for result in results)
    jobs = sum(result["jobs"] for result in results)
    claims = sorted(each for result in results for each in result["claims"])
    scripts = stats["cmdstat_evalsha"]
    return {
        "workers": share * options.processes,
        "queued_matches": options.matches,
        "submissions_per_s": round(queued_per_s),
        "cells_per_s": round(cells / options.seconds),
        "jobs_per_s": round(jobs / options.seconds),
        "admitted": sum(result["admitted"] for result in results),
        "claim_p50_ms": round(1000 * claims[len(claims) // 2], 2),
        "claim_p99_ms": round(1000 * claims[len(claims) * 99 // 100], 2),
        "redis_bytes_waiting": waiting // max(options.matches, 1),
        "redis_mb_at_end": round(info["used_memory"] / 1e6, 1),
        "log_entries": client.xlen("footanalytics:log"),
        "scripts_per_cell": round(scripts["calls"] / max(cells, 1), 2),
        "redis_us_per_script": scripts["usec_per_call"],
        "redis_busy": round(scripts["usec"] / 1e6 / options.seconds, 2),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("redis_url", help="of an empty database: it is flushed")
    parser.add_argument("--matches", type=int, default=10_000, help="queued before the clock runs")
    parser.add_argument("--segments", type=int, default=270, help="of a match: 270 are 90 minutes")
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2, help="that hold the workers")
    parser.add_argument("--pass-s", type=float, default=2.0, help="length of a pass")
    parser.add_argument("--cell-s", type=float, default=0.05, help="length of another job")
    parser.add_argument("--seconds", type=float, default=60.0)
    print(json.dumps(measure(parser.parse_args(arguments)), indent=2))


if __name__ == "__main__":
    main()
