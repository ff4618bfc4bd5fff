"""Tracking data of other systems as the input of a match: read by kloppy, without any video.

The stages that see pixels are then left out: `TrackingDataStage` gives what they would have left.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from application.stage import Frame, FramePass, FrameStage, MatchFacts, StageResult, WholeMatch
from domain import tables
from domain.configuration import STAGES, ProcessingConfiguration, StageOptions
from domain.errors import ConfigurationError, InputError, InputMissingError
from domain.grid import Segment
from domain.match import Side
from domain.periods import CLOCK_STARTS_S, Period
from domain.pitch import Pitch
from infrastructure.storage.folder import as_resource_errors
from infrastructure.video.source import hash_file
from stages import periods

SUFFIXES = frozenset({".json", ".jsonl", ".xml", ".dat", ".csv", ".txt"})
REPLACED = frozenset(STAGES[: STAGES.index("event_detection")])
SEGMENT_S = 20.0
SPEED_WINDOW_S = 0.4
Array = NDArray[np.float64]
Loader = Callable[..., Any]


def is_tracking(paths: Sequence[str]) -> bool:
    """Whether the inputs are files of tracking data, by their names."""
    return all(Path(path).suffix.lower() in SUFFIXES for path in paths)


class TrackingDataSource:
    """A match that was tracked already: frames without pixels, and the rows that belong to them."""

    def __init__(self, configuration: ProcessingConfiguration) -> None:
        if configuration.stage_configs.export.annotated_video:
            raise ConfigurationError("export.annotated_video: tracking data has no pictures")
        if configuration.match.periods:
            raise ConfigurationError(
                "match.periods: tracking data tells its own periods; leave them out"
            )
        self._configuration = configuration
        self._paths = tuple(Path(path) for path in configuration.video_path)
        self._pitch = configuration.pitch_played_on()

    notes: Sequence[str] = ()

    def to_bytes(self) -> None:
        """Nothing: another process reads the same files."""

    @cached_property
    def facts(self) -> MatchFacts:
        rate = float(self._dataset.metadata.frame_rate)
        details = self._configuration.match
        return MatchFacts(0, 0, rate, self._played_on, details=details)

    @cached_property
    def pixels_id(self) -> str:
        content = " ".join([*(hash_file(path) for path in self._paths), str(self._pitch)])
        return hashlib.sha256(content.encode()).hexdigest()

    def segments(self, seconds: float | None) -> tuple[Segment, ...]:
        times = self.time_s
        ends = np.arange(seconds or SEGMENT_S, times[-1], seconds or SEGMENT_S)
        bounds = np.unique([0, *np.searchsorted(times, ends), len(times)])
        stop = np.append(times, times[-1] + 1 / self.facts.frame_rate)
        return tuple(
            Segment(number, int(first), int(end), float(stop[first]), float(stop[end]))
            for number, (first, end) in enumerate(zip(bounds[:-1], bounds[1:], strict=True))
        )

    def frames(self, segment: Segment, warmup: int = 0) -> Iterator[Frame]:  # noqa: ARG002
        for number in range(segment.first, segment.end):
            yield Frame(number, float(self.time_s[number]), None, True, segment.number)

    def extract_audio(self, path: Path) -> None:
        raise InputError(f"{path.name}: tracking data has no sound; switch extract_audio off")

    @cached_property
    def time_s(self) -> Array:
        """Seconds since the first frame, periods joined without the interval; float64 [frames]."""
        rate = float(self._dataset.metadata.frame_rate)
        return np.arange(len(self._dataset.records)) / rate

    def rows(self, numbers: Sequence[int], segment: int) -> dict[str, pa.Table]:
        """The tables frames, tracks and ball of the frames `numbers`."""
        records = [self._dataset.records[number] for number in numbers]
        frame = np.asarray(numbers, np.int64)
        return {
            "frames": self._frames_table(frame, records, segment),
            "tracks": self._tracks_table(frame),
            "ball": self._ball_table(frame, records),
        }

    def identities(self) -> pa.Table:
        players = list(self._people)
        teams = [str(player.team.ground.value) for player in players]
        return tables.make(
            "identities",
            {
                "track": np.arange(len(players)),
                "player": [str(player.player_id) for player in players],
                "number": [player.jersey_no for player in players],
                "team": [team if team in tables.TEAMS else "unknown" for team in teams],
                "role": ["goalkeeper" if _is_keeper(player) else "player" for player in players],
                "confidence": np.ones(len(players)),
            },
        )

    def periods(self) -> pa.Table:
        """The data's own periods, the sides that home attacks in them estimated from places."""
        numbers = np.array([record.period.id for record in self._dataset.records])
        times = self.time_s
        home = np.array([str(p.team.ground.value) == "home" for p in self._people], dtype=bool)
        keeper = np.array([_is_keeper(player) for player in self._people], dtype=bool)
        ends = np.append(times[1:], times[-1] + 1 / self.facts.frame_rate)
        found = []
        for number in np.unique(numbers):
            rows = np.flatnonzero(numbers == number)
            clock_s = self._dataset.records[rows[0]].timestamp.total_seconds()
            side = _attacked(self._places[rows, :, 0], home, keeper)
            start_s, end_s = float(times[rows[0]]), float(ends[rows[-1]])
            found.append(Period(int(number), start_s, end_s, start_s - clock_s, side))
        return periods.table(found, "data", [each.number for each in found if each.home_attacks])

    @cached_property
    def _dataset(self) -> Any:
        return _centred(_load(self._paths), self._pitch)

    @cached_property
    def _played_on(self) -> Pitch:
        size = self._dataset.metadata.pitch_dimensions
        try:
            return Pitch(float(size.pitch_length), float(size.pitch_width))
        except (TypeError, ValueError):
            return self._pitch

    @cached_property
    def _people(self) -> Mapping[Any, int]:
        """Everyone in the line-ups or on the pitch, with his track number.

        Some providers track people whom no line-up names.
        """
        named = [player for team in self._dataset.metadata.teams for player in team.players]
        seen = (player for record in self._dataset.records for player in record.players_data)
        people = dict.fromkeys(named) | dict.fromkeys(seen)
        return {player: number for number, player in enumerate(people)}

    @cached_property
    def _places(self) -> Array:
        """x, y in metres, NaN where unknown; float64 [frames, people, 2]."""
        places = np.full((len(self._dataset.records), len(self._people), 2), np.nan)
        for row, record in enumerate(self._dataset.records):
            for player, data in record.players_data.items():
                if data.coordinates is not None:
                    places[row, self._people[player]] = data.coordinates.x, data.coordinates.y
        return places

    @cached_property
    def _speeds(self) -> Array:
        """Metres a second over a short window around each frame; float64 [frames, people]."""
        half = max(round(SPEED_WINDOW_S / 2 * self.facts.frame_rate), 1)
        padded = np.pad(self._places, ((half, half), (0, 0), (0, 0)), constant_values=np.nan)
        step = padded[2 * half :] - padded[: -2 * half]
        return np.asarray(np.linalg.norm(step, axis=2) * self.facts.frame_rate / (2 * half))

    def _frames_table(self, frame: NDArray[np.int64], records: Any, segment: int) -> pa.Table:
        count = len(frame)
        return tables.make(
            "frames",
            {
                "frame": frame,
                "time_s": self.time_s[frame],
                "period": [record.period.id for record in records],
                "match_clock_s": [
                    record.timestamp.total_seconds() + CLOCK_STARTS_S[record.period.id - 1]
                    for record in records
                ],
                "segment": np.full(count, segment),
                "decoded": [True] * count,
                "view": ["wide"] * count,
                "shot": np.zeros(count, int),
                "replay": [False] * count,
                "camera_motion": [None] * count,
            },
        )

    def _tracks_table(self, frame: NDArray[np.int64]) -> pa.Table:
        places = self._places[frame]
        row, track = np.nonzero(np.isfinite(places).all(axis=2))
        zero = np.zeros(len(row), np.float32)
        return tables.make(
            "tracks",
            {
                "frame": frame[row],
                "time_s": self.time_s[frame[row]],
                "track": track,
                **dict.fromkeys(("x1", "y1", "x2", "y2"), zero),
                "x": places[row, track, 0],
                "y": places[row, track, 1],
                "sigma_m": [None] * len(row),
                "speed_mps": np.ma.masked_invalid(self._speeds[frame[row], track]),
                "observed": [True] * len(row),
            },
        )

    def _ball_table(self, frame: NDArray[np.int64], records: Any) -> pa.Table:
        balls = [record.ball_coordinates for record in records]
        unknown = [None] * len(frame)
        return tables.make(
            "ball",
            {
                "frame": frame,
                "time_s": self.time_s[frame],
                "x": [ball.x if ball else None for ball in balls],
                "y": [ball.y if ball else None for ball in balls],
                "z": [getattr(ball, "z", None) for ball in balls],
                "pixel_x": unknown,
                "pixel_y": unknown,
                "sigma_m": unknown,
                "status": ["seen" if ball else "absent" for ball in balls],
                "confidence": [1.0 if ball else 0.0 for ball in balls],
            },
        )


class TrackingDataStage(FrameStage[StageOptions]):
    """Gives the rows of tracking data where otherwise pixels would be looked at."""

    name = "tracking_data"
    version = 2
    produces = ("frames", "tracks", "ball", "identities", "periods")

    def __init__(self, source: TrackingDataSource) -> None:
        super().__init__(StageOptions(), source.facts)
        self._source = source

    def begin(self) -> FramePass:
        return _Pass(self._source)

    def conclude(self, match: WholeMatch, state: Any) -> StageResult:  # noqa: ARG002
        return StageResult(
            {"identities": self._source.identities(), "periods": self._source.periods()}
        )


class _Pass:
    def __init__(self, source: TrackingDataSource) -> None:
        self._source = source
        self._numbers: list[int] = []
        self._segment = 0

    def take(self, frames: Sequence[Frame]) -> None:
        self._numbers += [frame.number for frame in frames]
        self._segment = frames[-1].segment

    def tables(self) -> Mapping[str, pa.Table]:
        return self._source.rows(self._numbers, self._segment)


def _load(paths: Sequence[Path]) -> Any:
    """The dataset of the first provider that reads the files, in either order.

    Raises:
        InputError: they cannot be opened, or no provider reads them.
    """
    for path in paths:
        if not path.is_file():
            raise InputMissingError(f"{path}: not found")
    names = ", ".join(path.name for path in paths)
    if len(paths) != 2:
        raise InputError(
            f"{names}: tracking data comes as two files, metadata and positions: give both"
        )
    with as_resource_errors(paths[0]):
        contents = [path.read_bytes() for path in paths]
    for load in _loaders({path.suffix.lower() for path in paths}):
        for first, second in permutations(contents):
            try:
                dataset = load(first, second)
                if len(dataset.records):
                    return dataset
            except Exception:  # noqa: S112  whatever a parser says of another's format
                continue
    raise InputError(
        f"{names}: not tracking data that kloppy reads (Second Spectrum, TRACAB, SkillCorner, "
        f"Metrica and Sportec were tried)"
    )


def _loaders(suffixes: set[str]) -> list[Loader]:
    from kloppy import metrica, secondspectrum, skillcorner, sportec, tracab

    if suffixes == {".csv"}:
        return [metrica.load_tracking_csv]
    if ".dat" in suffixes:
        return [tracab.load]
    if ".txt" in suffixes:
        return [metrica.load_tracking_epts, tracab.load, secondspectrum.load]
    if suffixes == {".xml"}:
        return [sportec.load_tracking]
    return [secondspectrum.load, skillcorner.load, tracab.load]


def _centred(dataset: Any, pitch: Pitch) -> Any:
    """The dataset in metres from the centre spot, y up; what kloppy calls its own orientation."""
    from kloppy.domain import (
        CustomCoordinateSystem,
        Dimension,
        MetricPitchDimensions,
        Origin,
        VerticalOrientation,
    )

    size = dataset.metadata.pitch_dimensions
    length = float(size.pitch_length or pitch.length_m)
    width = float(size.pitch_width or pitch.width_m)
    system = CustomCoordinateSystem(
        origin=Origin.CENTER,
        vertical_orientation=VerticalOrientation.BOTTOM_TO_TOP,
        pitch_dimensions=MetricPitchDimensions(
            x_dim=Dimension(-length / 2, length / 2),
            y_dim=Dimension(-width / 2, width / 2),
            pitch_length=length,
            pitch_width=width,
            standardized=False,
        ),
    )
    return dataset.transform(to_coordinate_system=system)


def _attacked(x: Array, home: NDArray[np.bool_], keeper: NDArray[np.bool_]) -> Side | None:
    """The side that home attacks, from the places (frames, people) of a period.

    The keepers tell it, each at his own goal; without them, everybody on the mean.
    """
    for who in (keeper, ~keeper):
        means = []
        for team in (home, ~home):
            known = x[:, who & team]
            known = known[np.isfinite(known)]
            means.append(float(known.mean()) if len(known) else np.nan)
        apart = means[0] - means[1]
        if np.isfinite(apart) and apart != 0:
            return "right" if apart < 0 else "left"
    return None


def _is_keeper(player: Any) -> bool:
    return "goalkeeper" in str(getattr(player.starting_position, "name", "")).lower()
