"""What a result claims about frames that cannot be measured: close-ups, crowds and replays."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.match_tables import column, columns
from evaluation.scores import Scores, share


def score_invented(result: Mapping[str, pa.Table], unmeasurable: NDArray[np.int64]) -> Scores:
    """Count places and events that a result claims in frames where none can be measured.

    Args:
        result: tables `tracks`, `ball` and `match_events` (final events).
        unmeasurable: (n,) frames that are no live wide picture.

    Returns:
        `unmeasurable_frames`; `invented_rows`: people placed in metres there;
        `invented_frames_share`: the share of these frames with such a person;
        `invented_ball_share`: with a ball on the pitch; `invented_events`: events that start there.
        Shares are None without such frames.
    """
    tracks, ball, events = (result[name] for name in ("tracks", "ball", "match_events"))
    people = _placed(tracks, unmeasurable)
    seen = column(ball, "status") != "absent"
    balls = np.intersect1d(_placed(ball, unmeasurable), column(ball, "frame")[seen])
    starts = np.isin(column(events, "start_frame"), unmeasurable)
    return {
        "unmeasurable_frames": len(unmeasurable),
        "invented_rows": len(people),
        "invented_frames_share": share(len(np.unique(people)), len(unmeasurable)),
        "invented_ball_share": share(len(balls), len(unmeasurable)),
        "invented_events": int(starts.sum()),
    }


def _placed(table: pa.Table, frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """The frame of each row with a place in metres, of those in `frames`."""
    known = ~np.isnan(columns(table, "x", "y")).any(axis=1)
    frame = column(table, "frame").astype(np.int64)
    return np.asarray(frame[known & np.isin(frame, frames)])
