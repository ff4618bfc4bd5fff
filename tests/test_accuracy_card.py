"""The accuracy card: intervals, drops, worst cases and the page; and the quick form itself."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from api.command_line import main
from domain.errors import InputError
from evaluation.card import real_frames, simulated
from evaluation.card.answers import Answers, Image, Remembered, SimulatedCase
from evaluation.card.boxed_frames import BoxedFrame, mistakes
from evaluation.card.check import commit, compare, read_committed, write_numbers
from evaluation.card.intervals import interval
from evaluation.card.match_picks import PICKS
from evaluation.card.measures import Card, Measure, Picture, Section
from evaluation.card.page import page, write_card
from evaluation.card.picks import over_all
from evaluation.card.sections import FULL, QUICK, Planned, chosen, take
from evaluation.card.strangers import stills
from evaluation.card.worst_moments import worst_moment
from evaluation.detection import Detections, LabelledBoxes, ap50_of_draws
from evaluation.match_events import Events, score_match_events
from evaluation.pitch import ImageCamera
from evaluation.yolo_labels import LabelledImage, read_image
from simulation import TEST_SEEDS_FROM, SimulationOptions, simulate, write
from tests.scored_match import camera, image_set, moved, pitch_label

COMMITTED = Path(__file__).parents[1] / "docs/accuracy/quick.json"


def _measure(value: float | None, key: str = "real_frames.ap50.player", **more: object) -> Measure:
    return Measure(key, "AP50 player", value, 51, "labelled boxes", **more)  # type: ignore[arg-type]


def _card(*measures: Measure, missing: str = "") -> Card:
    return Card([Section("real_frames", "Real frames", measures=measures, missing=missing)], "here")


def _found(rows: Sequence[tuple[float, str]]) -> Detections:
    """Boxes 10 wide and 20 high from (x, role), all with confidence 0.9."""
    xyxy = np.array([[x, 0, x + 10, 20] for x, _ in rows], dtype=np.float64).reshape(-1, 4)
    return Detections(xyxy, np.full(len(rows), 0.9), np.array([role for _, role in rows]))


# ---------------------------------------------------------------- intervals


def test_few_cases_have_no_interval() -> None:
    assert interval([0.5] * 5, lambda drawn: float(np.mean(drawn))) == (0.5, 0.5)
    assert interval([0.5] * 4, lambda drawn: float(np.mean(drawn))) is None


def test_average_precision_of_drawn_images_by_hand() -> None:
    """Image 0 is found, image 1 is missed. AP50 of (0, 0) is 1, of (1, 1) 0; of (0, 1) recall
    stops at 1/2, which 51 of the 101 levels reach."""
    truth, found = LabelledBoxes(("player",)), LabelledBoxes(("player",))
    for image in (1, 2):
        truth.add_truth(image, ["player"], np.array([[0.0, 0, 10, 20]]))
    found.add_found(1, _found([(0, "player")]))
    of_draw = ap50_of_draws(truth.records, found.records, 2)
    expected = {(0, 0): 1, (1, 1): 0, (0, 1): 51 / 101}
    for drawn, value in expected.items():
        assert of_draw(drawn)["player"] == pytest.approx(value)
    assert of_draw((0, 1))["ball"] is None


def test_a_score_of_matches_is_weighted_by_its_cases() -> None:
    """3 passes at 1 and 1 pass at 0: (3 x 1 + 1 x 0) / 4 = 0.75 over 4 passes; a match without
    passes does not count."""
    given: Mapping[str, dict] = {
        "a": {"event_recall": {"pass": 1.0}, "event_counts": {"pass": 3}},
        "b": {"event_recall": {"pass": 0.0}, "event_counts": {"pass": 1}},
        "c": {"event_recall": {}, "event_counts": {}},
    }
    found = {measure.key: measure for measure in over_all("simulated", PICKS, given)}
    assert found["simulated.event_recall.pass"].value == pytest.approx(0.75)
    assert found["simulated.event_recall.pass"].cases == 4
    assert "simulated.hota" not in found


def _shots(count: int) -> Events:
    """Shots 10 s apart, all of them where play can be measured."""
    text = np.full(count, "")
    kind = np.full(count, "shot")
    return Events(
        kind, 10.0 * np.arange(count, dtype=np.float64), text, text, text, np.ones(count, bool)
    )


def test_shots_invented_in_a_match_without_one_count() -> None:
    """2 of 2 shots found in one match, 3 invented in another: F1 is 2 x 2 / (2 + 2 + 3) = 4 / 7,
    over 2 shots. Where truth has none at all there is no figure."""

    given = {
        "a": score_match_events(_shots(2), _shots(2)),
        "b": score_match_events(_shots(0), _shots(3)),
    }
    found = {measure.key: measure for measure in over_all("simulated", PICKS, given)}
    assert found["simulated.event_f1.shot"].value == pytest.approx(4 / 7)
    assert found["simulated.event_f1.shot"].cases == 2
    assert not over_all("simulated", PICKS, {"b": given["b"]})


# ---------------------------------------------------------------- drops


@pytest.mark.parametrize(
    ("committed", "now", "unit", "higher", "line"),
    [
        (0.97, 0.951, "", True, None),  # 0.019 off: within one of 51 boxes, 0.0196
        (0.97, 0.945, "", True, "real_frames.ap50.player: fell from 0.970 to 0.945 (noise 0.020)"),
        (0.97, 0.999, "", True, None),  # better is no drop
        (0.20, 0.22, "m", False, None),  # 0.02 m off: within 0.03 m
        (0.20, 0.25, "m", False, "real_frames.ap50.player: rose from 0.20 m to 0.25 m"),
        (0.97, None, "", True, "real_frames.ap50.player: was 0.970, is not measured any more"),
    ],
)
def test_a_drop_beyond_noise_is_named(
    tmp_path: Path, committed: float, now: float | None, unit: str, higher: bool, line: str | None
) -> None:
    def card(value: float | None) -> Card:
        return _card(_measure(value, unit=unit, higher_is_better=higher))

    path = tmp_path / "quick.json"
    write_numbers(commit([card(committed)], ["f32"]), path)
    verdict = compare(card(now), read_committed(path))
    assert verdict.compared == 1
    assert len(verdict.drops) == (line is not None)
    assert line is None or verdict.drops[0].startswith(line)


def test_noise_is_twice_how_far_the_precisions_lie_apart(tmp_path: Path) -> None:
    """0.90 and 0.94: committed as 0.92 with noise 0.08, so 0.85 passes and 0.83 is a drop."""
    path = tmp_path / "quick.json"
    runs = [_card(_measure(0.90)), _card(_measure(0.94))]
    write_numbers(commit(runs, ["f32", "bf16"]), path)
    before = read_committed(path)
    assert before["real_frames.ap50.player"].noise == pytest.approx(0.08)
    assert not compare(_card(_measure(0.85)), before).drops
    assert compare(_card(_measure(0.83)), before).drops


@pytest.mark.parametrize(
    ("measure", "noise"),
    [
        (_measure(0.9), 1 / 51),  # one of 51 boxes
        (replace(_measure(0.9), cases=1000), 0.01),
        (_measure(9.0, unit="m"), 0.9),  # a tenth
        (_measure(0.1, unit="m"), 0.03),
        (replace(_measure(0.9, "simulated.hota"), cases=1000), 0.03),  # three floors
    ],
)
def test_noise_is_at_least_one_case(measure: Measure, noise: float) -> None:
    section = measure.key.partition(".")[0]
    card = Card([Section(section, section, measures=[measure])], "here")
    (row,) = commit([card, card], ["f32", "bf16"])["measures"].values()
    assert row["noise"] == pytest.approx(noise, abs=1e-4)


def test_what_is_no_score_is_not_committed() -> None:
    """A share within one sigma should be 0.683: neither more nor less is better."""
    neither = _measure(0.7, "real_frames.sigma.share", higher_is_better=None)
    assert commit([_card(neither, _measure(None))], ["f32"])["measures"] == {}


@pytest.mark.parametrize(
    ("first", "second", "unit", "higher", "kept"),
    [
        (0.7, 0.5, "", True, True),  # 0.6, noise 0.4: 0.19 is a drop
        (0.7, 0.3, "", True, False),  # 0.5, noise 0.8: it cannot fall so far
        (0.0, 0.0, "", True, False),  # nor can this
        (0.0, 0.0, "", False, True),  # a share that should be 0 may rise
        (19.9, 0.6, "m", False, False),  # 10 m, noise 39 m
    ],
)
def test_what_nothing_could_fail_is_not_committed(
    first: float, second: float, unit: str, higher: bool, kept: bool
) -> None:
    runs = [_card(_measure(v, unit=unit, higher_is_better=higher)) for v in (first, second)]
    assert len(commit(runs, ["f32", "bf16"])["measures"]) == kept


def test_a_section_without_material_is_told_and_not_compared(tmp_path: Path) -> None:
    path = tmp_path / "quick.json"
    write_numbers(commit([_card(_measure(0.9))], ["f32"]), path)
    verdict = compare(_card(missing="the real material has no players"), read_committed(path))
    assert (verdict.compared, verdict.drops) == (0, [])
    assert verdict.notes == ["real_frames: not compared (the real material has no players)"]


@pytest.mark.parametrize("text", ["", "{}", '{"measures": {"a.b": {"value": 1}}}', "[1]"])
def test_a_file_that_is_no_quick_form_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "quick.json").write_text(text)
    with pytest.raises(InputError, match=r"quick\.json: not the numbers of a quick form"):
        read_committed(tmp_path / "quick.json")


# ---------------------------------------------------------------- the page


def test_the_page_has_each_figure_with_its_cases_and_says_what_is_missing() -> None:
    shown = _measure(0.977, headline=True, interval=(0.951, 0.986), beside="best: 1")
    sections = [
        Section("real_frames", "Real frames", "Taken so.", [shown], wall_s=7.2),
        Section("strangers", "Strangers", missing="the real material has no other"),
    ]
    text = page(Card(sections, "2 cores"))
    row = "| AP50 player | 0.977 | 0.951 to 0.986 | 51 labelled boxes | best: 1 |"
    assert text.count(row) == 2  # in short, and in its section
    assert "Strangers: not in this card (the real material has no other)." in text
    assert "| together | 7 s |" in text
    assert text.endswith("On 2 cores.\n")


def test_pictures_of_real_footage_stay_away_from_the_page(tmp_path: Path) -> None:
    pictures = [
        Picture("drawn.png", "drawn", b"drawn"),
        Picture("real.jpg", "real", b"real", private=True),
    ]
    out, private = tmp_path / "out", tmp_path / "private"
    (out / "images").mkdir(parents=True)
    (out / "images/earlier.png").write_bytes(b"of an earlier card")
    write_card(Card([Section("a", "A", pictures=pictures)], "here"), out, private)
    assert {path.name for path in (out / "images").iterdir()} == {"drawn.png"}
    assert (private / "real.jpg").read_bytes() == b"real"
    text = (out / "README.md").read_text()
    assert "images/drawn.png" in text
    assert "real.jpg" not in text
    assert json.loads((out / "card.json").read_text())["machine"] == "here"


def test_pictures_of_real_footage_never_go_into_a_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(InputError, match="lies inside the repository"):
        write_card(Card([], "here"), tmp_path / "out", tmp_path / "deep/er")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to do"),
        (["--check", "docs/accuracy/quick.json"], "add --quick"),
        (["--out", "OUT", "--private", str(Path(__file__).parent)], "inside the repository"),
        (["--out", "OUT", "--only", "weather"], "no section weather: there are real_frames"),
        (["--out", "OUT", "--data", "nowhere"], "there is no such folder"),
    ],
)
def test_bad_usage_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    given = [str(tmp_path / "out") if word == "OUT" else word for word in arguments]
    assert main(["evaluate", "card", "--cache", str(tmp_path / "cache"), *given]) == 2
    assert message in capsys.readouterr().err


# ---------------------------------------------------------------- sections


def test_missed_and_false_boxes_by_hand() -> None:
    """The keeper is called a player (missed and false), the ball is not found, a second player is
    invented. Where only players are labelled, keepers are players: the invented one is left."""
    labelled = [(0, "player"), (50, "goalkeeper"), (90, "ball")]
    truth = _found(labelled)
    found = _found([(1, "player"), (50, "player"), (200, "player")])
    frame = BoxedFrame(
        LabelledImage(Path("a.jpg"), Path("a.txt")), [r for _, r in labelled], truth.xyxy, found
    )
    wrong = mistakes(frame, ("player", "goalkeeper", "referee", "ball"))
    assert (wrong.missed.tolist(), wrong.false.tolist()) == ([1, 2], [1, 2])
    wrong = mistakes(frame, ("player",))
    assert (wrong.missed.tolist(), wrong.false.tolist()) == ([], [2])


def test_held_out_frames_become_a_section(tmp_path: Path) -> None:
    """Five drawn frames, one of them of a match that is trained on: four are scored. The camera's
    answer is 5 m off everywhere; the keeper is never found. Below five frames there is no interval.
    """
    _drawn_frames(tmp_path / "players", "2 0.1 0.5 0.1 0.4\n1 0.6 0.5 0.1 0.4\n")
    _drawn_frames(tmp_path / "pitch", pitch_label(camera()), (1280, 720))
    player = Detections(np.array([[10.0, 30, 30, 70]]), np.ones(1), np.array(["player"]))
    answers = replace(
        _answers(tmp_path),
        detect=lambda _: player,
        calibrate=lambda _: ImageCamera(moved(camera(), 3, 4)),
    )
    section = real_frames.section(tmp_path, answers)
    found = {measure.key.removeprefix("real_frames."): measure for measure in section.measures}
    assert (found["ap50.player"].value, found["ap50.player"].cases) == (1.0, 4)
    assert found["ap50.goalkeeper"].value == 0.0
    assert "ap50.ball" not in found
    assert found["pitch.median_error_m"].value == pytest.approx(5)
    assert found["pitch.median_error_m"].interval is None
    assert section.tables[0].rows[0][:3] == ("08fd33", "2", "1.000 (2)")
    real = [picture for picture in section.pictures if picture.private]
    assert len(real) == 6
    assert real[0].caption.endswith("1 missed (red), 0 false (orange)")
    assert [p.name for p in section.pictures if not p.private] == ["pitch-error.png"]


def _drawn_frames(folder: Path, label: str, size: tuple[int, int] = (200, 100)) -> None:
    made = image_set(folder, [label] * 5, size)
    names = ("08fd33_0_1", "08fd33_0_2", "c01561_0_1", "cd987c_0_1", "121364_0_1")
    for number, name in enumerate(names):
        (made / f"images/a{number}.png").rename(made / f"images/{name}.png")
        (made / f"labels/a{number}.txt").rename(made / f"labels/{name}.txt")


def test_labelled_frames_of_clips_are_counted_from_one(tmp_path: Path) -> None:
    """f0001 is the first frame, number 0; what was saved is not decoded again."""
    clips, labels = tmp_path / "set/clips", tmp_path / "set/labels"
    for folder in (clips, labels):
        folder.mkdir(parents=True)
    (clips / "a.mp4").touch()
    for name in ("a_f0001", "a_f0010"):
        (labels / f"{name}.txt").touch()
    asked: list[int] = []

    def frames(_: Path, numbers: Sequence[int]) -> dict[int, Image]:
        asked.extend(numbers)
        return {number: np.full((4, 6, 3), number, np.uint8) for number in numbers}

    answers = replace(_answers(tmp_path), frames=frames)
    for _ in range(2):
        folder = stills(clips, labels, answers)
    assert asked == [0, 9]
    assert read_image(folder / "a_f0010.png")[0, 0, 0] == 9


def test_an_image_is_asked_for_once() -> None:
    asked: list[int] = []

    def detect(image: Image) -> Detections:
        asked.append(int(image[0, 0, 0]))
        return _found([])

    remembered = Remembered(detect, lambda _: None)
    for grey in (1, 2, 1):
        remembered.detect(np.full((4, 4, 3), grey, np.uint8))
    assert asked == [1, 2]


def test_the_fixed_set_is_of_seeds_that_only_tests_use() -> None:
    cases = [*simulated.CASES, *simulated.QUICK_CASES]
    assert all(case.seed >= TEST_SEEDS_FROM for case in cases)
    assert len({case.seed for case in cases}) == len({case.name for case in cases}) == len(cases)


def test_sections_can_be_chosen_and_lack_their_material(tmp_path: Path) -> None:
    told: list[str] = []
    plan = [
        Planned("real_frames", "Real frames", ("players",), lambda *_: pytest.fail("was taken")),
        Planned("drawn", "Drawn", (), lambda *_: Section("drawn", "Drawn")),
    ]
    card = take(plan, tmp_path, _answers(tmp_path), "here", told.append)
    assert [bool(section.missing) for section in card.sections] == [True, False]
    assert told == ["Real frames: left out, the real material has no players", "Drawn"]
    assert [planned.name for planned in chosen(QUICK, ["simulated"])] == ["simulated"]
    card = take(plan, tmp_path, _answers(tmp_path), "here", told.append, ["drawn"])
    assert card.sections[0].missing == "it was not asked for"
    assert {planned.name for planned in QUICK} <= {planned.name for planned in FULL}


def test_what_an_earlier_run_left_counts_as_if_it_were_made_now(tmp_path: Path) -> None:
    """A section that reads an analysis of 60 s from the cache took 60 s and its own moment."""
    saved = [5.0]

    def read(_: Path, __: Answers) -> Section:
        saved.append(60.0)
        return Section("drawn", "Drawn")

    answers = replace(_answers(tmp_path), saved_s=lambda: sum(saved))
    card = take([Planned("drawn", "Drawn", (), read)], tmp_path, answers, "here", print)
    assert 60.0 <= card.wall_s < 90.0


CASE = SimulatedCase("small", TEST_SEEDS_FROM + 13, 1.0, width=640, height=360)
GONE = 12
"""The frame in which the answers lack two players."""


def _answers(folder: Path, answered: Path | None = None) -> Answers:
    """A product whose pictures are black and whose analyses are all `answered`."""
    black = np.zeros((CASE.height, CASE.width, 3), np.uint8)
    return Answers(
        detect=lambda _: _found([]),
        calibrate=lambda _: None,
        events=lambda *_: pa.table({}),
        render=lambda _: folder / "truth",
        play=lambda _: folder / "truth",
        conditions=lambda _: "rain",
        analyse=lambda _: answered or folder,
        encode=lambda image, _: image,
        frames=lambda _, numbers: dict.fromkeys(numbers, black),
        scratch=folder / "scratch",
    )


@pytest.fixture(scope="module")
def simulated_answer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Truth, and an answer that equals it but for two players in one frame."""
    folder = tmp_path_factory.mktemp("card")
    options = SimulationOptions(
        seed=CASE.seed, seconds=CASE.seconds, width=CASE.width, height=CASE.height
    )
    match = simulate(options)
    for name in ("truth", "answer"):
        write(match, folder / name, video=False)
    tracks = pq.read_table(folder / "answer/tracks.parquet")
    seen = tracks.filter(pc.and_(pc.equal(tracks["frame"], GONE), tracks["observed"]))
    two = [track for track in seen["track"].to_pylist() if track not in (23, 24, 25)][:2]
    gone = pc.and_(pc.equal(tracks["frame"], GONE), pc.is_in(tracks["track"], pa.array(two)))
    pq.write_table(tracks.filter(pc.invert(gone)), folder / "answer/tracks.parquet")
    return folder


def test_the_worst_moment_is_the_one_that_lacks_two_players(simulated_answer: Path) -> None:
    moment = worst_moment("small", simulated_answer / "truth", simulated_answer / "answer")
    assert (moment.frame, moment.mistakes) == (GONE, 2)
    assert (len(moment.missed), len(moment.false), moment.ball_is_wrong) == (2, 0, False)


def test_a_simulated_match_becomes_a_section(simulated_answer: Path) -> None:
    answers = _answers(simulated_answer, simulated_answer / "answer")
    section = simulated.section(answers, [CASE])
    found = {measure.key: measure for measure in section.measures}
    assert found["simulated.ball_f1_1m"].value == 1.0
    assert found["simulated.team_accuracy_per_player"].value == 1.0
    assert 0.95 < (found["simulated.hota"].value or 0) < 1.0
    assert found["simulated.calibration_median_error_m"].value == pytest.approx(0, abs=1e-6)
    assert [picture.name for picture in section.pictures] == [
        "simulated-matches.png", "simulated-worst-1.jpg",
    ]  # fmt: skip
    assert section.pictures[1].caption.startswith(f"small, frame {GONE}: 2 of")
    assert section.tables[0].rows[0][-1] == "rain"
    again = simulated.section(answers, [CASE])
    assert [p.data for p in again.pictures] == [p.data for p in section.pictures]


# ---------------------------------------------------------------- the quick form


@pytest.mark.slow
def test_no_figure_of_the_quick_form_dropped(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Without the real material, which is said, the simulated matches are still compared."""
    code = main(
        ["evaluate", "card", "--quick", "--check", str(COMMITTED), "--cache", str(tmp_path)]
    )
    told = capsys.readouterr()
    assert code == 0, told.out
    assert "0 of" in told.err


@pytest.mark.slow
@pytest.mark.real
def test_a_worse_detector_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture, real_data: Path
) -> None:
    """Only people of whom it is all but certain: most are lost, and the check says so."""
    worse = ["--only", "real_frames", "--set", "player_detection.confidence_threshold=0.9"]
    given = ["--check", str(COMMITTED), "--cache", str(tmp_path), "--data", str(real_data)]
    assert main(["evaluate", "card", "--quick", *given, *worse]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("real_frames.ap50.player: fell from 0.9") for line in lines)
    assert not any(line.startswith("real_frames.pitch") for line in lines)
