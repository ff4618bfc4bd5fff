"""Two stages of another package that say what the networks would say of a simulated match.

`prepare` plays the match and leaves the rows of `detections` and `pitch_observations` in files of
250 frames; the stages read the files that their segment meets, whatever its pixels show.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field

from application.stage import Frame, FramePass, FrameStage
from domain import tables
from domain.configuration import StageOptions
from domain.lens import bent
from domain.pitch import Pitch
from domain.tables import PERSON_ROLES
from simulation import SimulatedMatch, SimulationOptions, render, simulate, write
from simulation.rendering import FrameRenderer
from stages.player_detection import appearance

FRAMES_A_FILE = 250
SEEN_SHARE, BALL_SEEN_SHARE, WRONG_ROLE_SHARE, JITTER_PX = 0.96, 0.7, 0.03, 1.0
POINTS_EVERY = 5
BREAK_S = 600.0
LOOKS = 200  # frames that are painted, to see what everybody wears


class SimulatedOptions(StageOptions):
    folder: str = Field(description="where `prepare` left the rows")


class _Pass(FramePass):
    def __init__(self, table: str, folder: Path) -> None:
        self._table, self._folder = table, folder
        self._frames: list[int] = []

    def take(self, frames: Sequence[Frame]) -> None:
        self._frames += [frame.number for frame in frames if frame.owned]

    def tables(self) -> Mapping[str, pa.Table]:
        first, last = self._frames[0], self._frames[-1]
        files = range(first // FRAMES_A_FILE, last // FRAMES_A_FILE + 1)
        read = [pq.read_table(_path(self._folder, self._table, number)) for number in files]
        rows = pa.concat_tables(read)
        inside = pc.and_(pc.greater_equal(rows["frame"], first), pc.less_equal(rows["frame"], last))
        return {self._table: tables.check(self._table, rows.filter(inside).combine_chunks())}


class SimulatedDetectionStage(FrameStage[SimulatedOptions]):
    name: ClassVar[str] = "simulated_detection"
    version: ClassVar[int] = 1
    options_type: ClassVar[type[StageOptions]] = SimulatedOptions
    produces: ClassVar[tuple[str, ...]] = ("detections",)

    def begin(self) -> FramePass:
        return _Pass("detections", Path(self.options.folder))


class SimulatedObservationStage(FrameStage[SimulatedOptions]):
    name: ClassVar[str] = "simulated_observation"
    version: ClassVar[int] = 1
    options_type: ClassVar[type[StageOptions]] = SimulatedOptions
    produces: ClassVar[tuple[str, ...]] = ("pitch_observations",)

    def begin(self) -> FramePass:
        return _Pass("pitch_observations", Path(self.options.folder))


def install(folder: Path) -> Path:
    """Make the stages known to processes that have the returned folder in PYTHONPATH."""
    information = folder / "simulated_networks-1.0.dist-info"
    information.mkdir(parents=True, exist_ok=True)
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: simulated-networks\nVersion: 1.0\n"
    )
    (information / "entry_points.txt").write_text(
        "[footanalytics.stages]\n"
        "simulated_detection = benchmarks.simulated_networks:SimulatedDetectionStage\n"
        "simulated_observation = benchmarks.simulated_networks:SimulatedObservationStage\n"
    )
    return folder


def prepare(folder: Path, seed: int, seconds: float, clip_s: float) -> Path:
    """Leave the rows of the whole match in `folder`/rows, what is true in `folder`/truth, and its
    first `clip_s` as a video, whose path is returned.
    """
    clip, rows = folder / "clip.mp4", folder / "rows"
    if (rows / "done").exists():
        return clip
    rows.mkdir(parents=True, exist_ok=True)
    render(simulate(SimulationOptions(seed, clip_s)), clip)
    halves = (
        {"half_time_s": (seconds - BREAK_S) / 2, "break_s": BREAK_S}
        if seconds > 3 * BREAK_S
        else {}
    )
    match = simulate(SimulationOptions(seed, seconds, **halves))
    write(match, folder / "truth", video=False)
    rng = np.random.default_rng(seed)
    for name, table in (
        ("detections", _detections(match, rng)),
        ("pitch_observations", _observations(match, rng)),
    ):
        for number, part in _parts(table, match.options.frame_count):
            pq.write_table(part, _path(rows, name, number))
    (rows / "done").touch()
    return clip


def _path(folder: Path, table: str, number: int) -> Path:
    return folder / f"{table}-{number:05}.parquet"


def _parts(table: pa.Table, frames: int) -> Iterator[tuple[int, pa.Table]]:
    frame = table["frame"].to_numpy()
    files = range(-(-frames // FRAMES_A_FILE))
    ends = np.searchsorted(frame, [(number + 1) * FRAMES_A_FILE for number in files])
    for number, start, end in zip(files, [0, *ends], ends, strict=False):
        yield number, table.slice(start, end - start)


def _detections(match: SimulatedMatch, rng: np.random.Generator) -> pa.Table:
    people = match.tables["tracks"].filter(match.tables["tracks"]["observed"])
    balls = match.tables["detections"]
    balls = balls.filter(pc.equal(balls["role"], "ball"))
    people = people.filter(pa.array(rng.random(people.num_rows) < SEEN_SHARE))
    balls = balls.filter(pa.array(rng.random(balls.num_rows) < BALL_SEEN_SHARE))
    count = people.num_rows + balls.num_rows
    frame = _joined(people, balls, "frame")
    order = np.argsort(frame, kind="stable")
    corners = {name: _joined(people, balls, name) for name in ("x1", "y1", "x2", "y2")}
    moved = {name: side + rng.normal(0, JITTER_PX, count) for name, side in corners.items()}
    worn, coloured = _worn(match, people["track"].to_numpy(), rng)
    vectors = np.zeros((count, worn.shape[1]), np.float16)
    vectors[: len(worn)] = worn
    unknown = np.ones(vectors.shape, bool)
    unknown[: len(worn)] = ~coloured[:, None]
    return tables.make(
        "detections",
        {
            "frame": frame[order],
            **{name: side[order] for name, side in moved.items()},
            "confidence": rng.uniform(0.5, 0.95, count),
            "role": _roles(match, people, balls.num_rows, rng)[order],
            "appearance": np.ma.MaskedArray(vectors[order], unknown[order]),
        },
    )


def _joined(people: pa.Table, balls: pa.Table, name: str) -> NDArray[np.float64]:
    return np.concatenate([people[name].to_numpy(), balls[name].to_numpy()])


def _roles(
    match: SimulatedMatch, people: pa.Table, balls: int, rng: np.random.Generator
) -> NDArray[np.str_]:
    """Everybody's role, some of them wrong, then the balls'."""
    role_of = np.array(["", *match.tables["identities"]["role"].to_pylist()])
    roles = role_of[people["track"].to_numpy()]
    wrong = rng.random(len(roles)) < WRONG_ROLE_SHARE
    roles[wrong] = rng.choice(PERSON_ROLES, int(wrong.sum()))
    return np.concatenate([roles, np.full(balls, "ball")])


def _worn(
    match: SimulatedMatch, track: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """What the detector would measure of each row's person, and whether it was ever painted.

    Frames all over the match are painted; each row has the vector of one sight of its person.
    """
    renderer = FrameRenderer(match)
    seen: dict[int, list[NDArray[np.float16]]] = {}
    rows = match.tables["tracks"].filter(match.tables["tracks"]["observed"])
    frame, who = rows["frame"].to_numpy(), rows["track"].to_numpy()
    boxes = np.column_stack([rows[name].to_numpy() for name in ("x1", "y1", "x2", "y2")])
    for index in np.linspace(0, match.options.frame_count - 1, LOOKS).astype(int):
        here = np.flatnonzero(frame == index)
        vectors = appearance.measure(renderer.frame(int(index)), boxes[here].astype(np.float32))
        for person, vector in zip(who[here], vectors, strict=True):
            seen.setdefault(int(person), []).append(vector)
    worn = np.zeros((len(track), tables.APPEARANCE_SIZE), np.float16)
    for person, sights in seen.items():
        his = np.flatnonzero(track == person)
        worn[his] = np.array(sights)[rng.integers(len(sights), size=len(his))]
    return worn, np.isin(track, list(seen))


def _observations(match: SimulatedMatch, rng: np.random.Generator) -> pa.Table:
    """The pitch's points in each fifth frame, and the camera's true motion."""
    frames = match.tables["frames"]
    count, options = frames.num_rows, match.options
    to_pitch = np.array(match.tables["calibration"]["homography"].to_pylist()).reshape(-1, 3, 3)
    places = np.array(Pitch().points(), np.float64)[:, :2]
    homogeneous = np.column_stack([places, np.ones(len(places))])
    mapped = np.einsum("nij,pj->npi", np.linalg.inv(to_pitch), homogeneous)
    middle = np.array([options.width, options.height]) / 2
    bend = match.camera.k1 / match.camera.focal_px**2
    pixels = bent(mapped[..., :2] / mapped[..., 2:] - middle, bend[:, None]) + middle
    pixels += rng.normal(0, JITTER_PX, pixels.shape)
    # h33 = 1 makes the last number of what is before the camera positive
    inside = (pixels >= 0).all(-1) & (pixels < (options.width, options.height)).all(-1)
    inside &= mapped[..., 2] > 0
    points = np.concatenate([pixels, np.where(inside, 0.9, 0.0)[..., None]], axis=-1)
    points[~inside, :2] = 0
    looked = np.arange(count) % POINTS_EVERY == 0
    columns = {
        "frame": np.arange(count),
        "points": np.ma.MaskedArray(
            points.reshape(count, -1).astype(np.float32),
            np.broadcast_to(~looked[:, None], (count, points.shape[1] * 3)),
        ),
        "lines": [None] * count,
        "camera_motion": frames["camera_motion"],
        "cut": np.zeros(count, bool),
        "view": ["wide"] * count,
        "grass_share": np.full(count, 0.6),
        "change": np.full(count, 2.0),
        "glance": np.full((count, tables.GLANCE_SIZE), 90, np.uint8),
    }
    return tables.make("pitch_observations", columns)
