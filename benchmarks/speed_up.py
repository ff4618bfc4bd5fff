"""One match over 1, 2, 4, ... worker processes: `python benchmarks/speed_up.py`.

Real Redis, real Celery workers, the whole pipeline on 15 s of tracking data in 30 segments; in each
pass a stage sleeps, as long as a network would compute, so that more workers than cores can be
tried. Prints one JSON object; docs/scaling.md says under what conditions its figures were taken.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from domain.configuration import ProcessingConfiguration
from domain.pipeline import FINISHED
from tests.faults.cluster import Cluster
from tests.faults.rig import TRACKED

SEGMENT_S, MATCH_S, FRAMES_OF_SLEEP = 0.5, 15.0, 75


def measure(workers: int, pass_s: float) -> float:
    """Seconds from the admission of the match to its end."""
    frames = SEGMENT_S * 25
    sleep = str(pass_s * FRAMES_OF_SLEEP / frames)
    with tempfile.TemporaryDirectory() as folder:
        given = {"SLOW_FRAMES_S": sleep, "SLOW_S": "0", "LEASE_SECONDS": "30"}
        with Cluster(Path(folder), **given) as cluster:
            for number in range(workers):
                cluster.worker(f"worker{number}")
            cluster.wait(cluster.state.workers, lambda found: len(found) >= workers, limit_s=300)
            values = {**TRACKED, "segment_s": SEGMENT_S}
            pipeline_id = cluster.submit(ProcessingConfiguration.parse(values))
            record = cluster.state.pipeline(pipeline_id)
            while record and record.state not in FINISHED:
                time.sleep(0.1)
                record = cluster.state.pipeline(pipeline_id)
            assert record
            assert record.state == "completed", record.error
            return record.finished_at - record.started_at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--pass-s", type=float, default=2.0, help="sleep in a pass")
    options = parser.parse_args()
    seconds = {count: measure(count, options.pass_s) for count in options.workers}
    first = seconds[options.workers[0]] * options.workers[0]
    passes = MATCH_S / SEGMENT_S
    rows = {
        str(count): {
            "seconds": round(took, 2),
            "speed_up": round(first / took, 2),
            "least_possible_s": round(-(-passes // count) * options.pass_s, 1),
        }
        for count, took in seconds.items()
    }
    print(json.dumps({"passes": int(passes), "pass_s": options.pass_s, "workers": rows}, indent=2))


if __name__ == "__main__":
    main()
