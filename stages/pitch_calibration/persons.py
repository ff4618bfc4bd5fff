"""What the persons in a picture say of its view: in a close-up they are large."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SURE_PERSON = 0.4
# heights of persons as shares of the picture's: in a close-up somebody is taller than the first, in
# a wide view some are smaller than the second, even if one stands near the camera
NEAR, FAR = 0.36, 0.17
SOME, SOME_GRASS = 5, 0.08
NOBODY = (0, 0.0, 0.0)


@dataclass(frozen=True)
class Persons:
    """By frame how many of the persons surely seen are far away, their median height, the tallest.

    Heights are shares of the picture's.
    """

    by_frame: dict[int, tuple[int, float, float]]

    @classmethod
    def read(cls, detections: pa.Table | None, height: int) -> "Persons":
        """The persons in the table `detections`; nobody where there is none."""
        if detections is None:
            return cls({})
        sure = pc.and_(
            pc.not_equal(detections["role"], "ball"),
            pc.greater_equal(detections["confidence"], SURE_PERSON),
        )
        persons = detections.filter(sure)
        frame = persons["frame"].to_numpy()
        tall = (persons["y2"].to_numpy() - persons["y1"].to_numpy()) / height
        starts = np.flatnonzero(np.diff(frame, prepend=-1))
        parts = np.split(tall, starts[1:]) if len(starts) else []
        summaries = (
            (int((part < FAR).sum()), float(np.median(part)), float(part.max())) for part in parts
        )
        return cls(dict(zip(frame[starts].tolist(), summaries, strict=True)))

    def loom(self, frame: int) -> bool:
        """Whether most persons are taller than in a view of the play."""
        return self.by_frame.get(frame, NOBODY)[1] > FAR

    def view(self, frame: int, grass_share: float, told: str) -> tuple[bool, str]:
        """Whether persons fill the picture, and its view: by them, else what was `told`."""
        far, _, tallest = self.by_frame.get(frame, NOBODY)
        if far >= SOME and grass_share >= SOME_GRASS:
            return False, "wide"
        return (True, "close") if tallest > NEAR else (False, told)
