"""A whole match through decoding and every table stage: `python benchmarks/long_run.py`.

A short clip is looped to the match's length and really decoded. What the two networks would say of
it is taken from a simulated match of that length, with people missed, called by a wrong role and
misplaced by a pixel, by two stages of another package that stand in for ours. The rest is
`footanalytics analyze` as it is. Prints one JSON object: speed, and the memory of the parent and of
its children (their proportional set size, in MiB) in each tenth of the run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.simulated_networks import install, prepare
from domain.configuration import STAGES

ROOT = Path(__file__).parents[1]
OF_PIXELS = ("video_decoding", "player_detection", "pitch_observation")
FRAME_STAGES = ("video_decoding", "simulated_detection", "simulated_observation")
TABLE_STAGES = [name for name in STAGES if name not in OF_PIXELS]
SAMPLE_S = 2.0
CLIP_S = 20.0
FPS = 25  # the simulator's, where nothing else is said


def loop(clip: Path, frames: int, path: Path) -> None:
    """`clip` over and over as one file of `frames`, without encoding anything again."""
    given = [
        "-stream_loop",
        "-1",
        "-i",
        str(clip),
        "-frames:v",
        str(frames),
        "-c",
        "copy",
        str(path),
    ]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *given], check=True)


def analyze(video: Path, rows: Path, out: Path, packages: Path) -> tuple[dict[str, Any], list[Any]]:
    """The run's own report, and samples of its memory: (share of time, parent, children)."""
    simulated = {name: {"folder": str(rows)} for name in FRAME_STAGES[1:]}
    configuration = out.with_suffix(".json")
    configuration.write_text(
        json.dumps({"stages": [*FRAME_STAGES, *TABLE_STAGES], "stage_configs": simulated})
    )
    command = [sys.executable, "-c", "import sys; from api.command_line import main; main()"]
    command += ["analyze", str(video), "--out", str(out), "--config", str(configuration), "--json"]
    paths = os.pathsep.join([str(ROOT), str(packages)])
    started = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths}
    ) as run:
        samples = []
        while run.poll() is None:
            parent, children = pss_mib(run.pid), sum(map(pss_mib, descendants(run.pid)))
            samples.append((time.monotonic() - started, parent, children))
            time.sleep(SAMPLE_S)
        assert run.stdout
        text = run.stdout.read()
    if run.returncode:
        sys.exit(run.returncode)  # it has said why
    return json.loads(text), samples


def descendants(pid: int) -> list[int]:
    """The children of a process and theirs."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:  # it is gone
        return []
    children = [int(child) for child in listed.split()]
    return children + [below for child in children for below in descendants(child)]


def pss_mib(pid: int) -> float:
    """Memory of a process; pages that several share are divided among them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def by_tenth(samples: list[Any]) -> dict[str, list[int]]:
    """The most memory in each tenth of the run."""
    end = samples[-1][0]
    tenths: list[list[Any]] = [[] for _ in range(10)]
    for sample in samples:
        tenths[min(int(10 * sample[0] / end), 9)].append(sample)
    return {
        name: [round(max((row[i] for row in tenth), default=0)) for tenth in tenths]
        for i, name in ((1, "parent"), (2, "children"))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=90.0)
    parser.add_argument("--seed", type=int, default=950_900)
    parser.add_argument("--dir", type=Path, help="keeps what was prepared, for another run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.dir or Path(temporary)
        seconds = 60 * options.minutes
        began = time.monotonic()
        clip = prepare(folder, options.seed, seconds, CLIP_S)
        prepared_s = time.monotonic() - began
        video, out = folder / "long.mp4", folder / f"result-{int(time.time())}"
        loop(clip, int(seconds * FPS), video)
        report, samples = analyze(video, folder / "rows", out, install(folder / "packages"))
        disk = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(
        json.dumps(
            {
                "minutes": options.minutes,
                "prepared_s": round(prepared_s),
                "frames": report["frames"],
                "wall_s": round(report["wall_s"]),
                "frames_per_s": report["frames_per_s"],
                "memory_mib": by_tenth(samples),
                "result_mib": round(disk / 2**20),
                "stage_seconds": {k: round(v, 1) for k, v in report["stage_seconds"].items()},
                "notices": report["notices"],
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
