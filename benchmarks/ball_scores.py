"""What a ball box's score is worth: the two numbers that `stages/ball_tracking/candidates.py` has.

    footanalytics simulate --seed 900511 --seconds 16 --out truth
    footanalytics analyze truth/match.mp4 --out found
    python benchmarks/ball_scores.py truth found [TRUTH RESULT ...]

For each match, and for their mean: log odds that a box is the ball, fitted as offset + slope times
the score's own log odds, for a frame with one false box. A box is the ball when its middle lies
within 6 pixels of it in a picture of 720 lines. To be run again when the detector is another.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.optimize import minimize

RIGHT_WITHIN = 6 / 720
FloatArray = NDArray[np.float64]


def main(arguments: list[str]) -> int:
    if not arguments or len(arguments) % 2:
        print(__doc__, file=sys.stderr)
        return 2
    fitted = []
    for truth, result in zip(arguments[::2], arguments[1::2], strict=True):
        log_odds, right, frames = _boxes(Path(truth), Path(result))
        false_a_frame = max((~right).sum(), 1) / frames
        slope, offset = fit(log_odds, right)
        fitted.append((slope, offset + np.log(false_a_frame)))
        print(
            f"{truth}: {right.sum()} of {len(right)} boxes, {false_a_frame:.2f} false a frame;",
            end=" ",
        )
        print(f"slope {slope:.2f}, offset {fitted[-1][1]:.2f}")
    print("mean: slope {:.2f}, offset {:.2f}".format(*np.mean(fitted, axis=0)))
    return 0


def fit(log_odds: FloatArray, right: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset of the logistic regression of `right` (n,) on `log_odds` (n,)."""
    sign = np.where(right, 1.0, -1.0)

    def loss(line: FloatArray) -> float:
        return float(np.logaddexp(0, -sign * (line[0] * log_odds + line[1])).mean())

    slope, offset = minimize(loss, np.array([1.0, 0.0])).x
    return float(slope), float(offset)


def _boxes(truth: Path, result: Path) -> tuple[FloatArray, NDArray[np.bool_], int]:
    """Each ball box's log odds by its score and whether it is the ball; the frames there are."""
    lines = json.loads((truth / "truth.json").read_text())["height"]
    found = pq.read_table(result / "detections.parquet")
    found = found.filter(pc.equal(found["role"], "ball"))
    x1, y1, x2, y2, score = (
        found[name].to_numpy().astype(np.float64) for name in ("x1", "y1", "x2", "y2", "confidence")
    )
    ball = pq.read_table(truth / "ball.parquet")
    u, v = (ball[name].to_numpy()[found["frame"].to_numpy()] for name in ("pixel_x", "pixel_y"))
    apart = np.hypot((x1 + x2) / 2 - u, (y1 + y2) / 2 - v)
    frames = pq.read_table(result / "frames.parquet").num_rows
    score = np.clip(score, 0.02, 0.98)
    return np.log(score / (1 - score)), apart < RIGHT_WITHIN * lines, frames


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
