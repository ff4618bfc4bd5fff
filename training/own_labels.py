"""People labelled by us in frames that came with points of the pitch alone (`labels/README.md`)."""

from pathlib import Path

from training.detector_data import BALL, ROLES, LabelledFrame, load_frame
from training.loop import VALIDATION_MATCH, match_of, refuse_held_out

LABELS = Path(__file__).resolve().parent / "labels"
BALL_UNSURE = LABELS / "ball_unsure.txt"
"""Names the frames in which the ball may be in view and is not labelled."""


def load_training_frames(data: Path) -> list[LabelledFrame]:
    """Every frame of `data` that has such labels; raises `HeldOutMatchError` for a held-out one."""
    frames, unsure = [], set(BALL_UNSURE.read_text(encoding="utf-8").split())
    for labels in sorted(path for path in LABELS.iterdir() if path.is_dir()):
        images = sorted((data / labels.name / "images").glob("*.jpg"))
        for image in refuse_held_out(i for i in images if (labels / f"{i.stem}.txt").exists()):
            if match_of(image) != VALIDATION_MATCH:
                known = ROLES[:BALL] if image.stem in unsure else ROLES
                frames.append(load_frame(image, known, labels))
    return frames
