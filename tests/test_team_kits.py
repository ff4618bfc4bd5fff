"""Teams by what is worn: drawn kits of two colours, like colours, officials that outnumber."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pyarrow as pa
import pytest

from application.stage import MatchFacts
from domain import tables
from domain.configuration import TeamClassificationOptions
from domain.match import Kit
from stages.clothing import LEGS_PALETTE, TORSO_PALETTE, Palette
from stages.player_detection.appearance import measure
from stages.team_classification import TeamClassificationStage
from stages.team_classification.attendance import Attendance
from stages.team_classification.kits import Crowd, find_kits
from stages.team_classification.places import log_densities
from tests.timeline_runs import run

FACTS = MatchFacts(1280, 720, 25.0)
FRAMES = 100
POSES = 12
GRASS = (60, 127, 79)  # blue, green, red, as all drawn colours
PINK, MAROON, WHITE, NAVY = (192, 167, 232), (48, 18, 122), (240, 242, 242), (75, 31, 11)
YELLOW, RED, SKY, ORANGE = (54, 228, 233), (46, 16, 200), (221, 171, 108), (28, 138, 240)
# figures are drawn three times as large and shrunk, as a lens would: about 16 by 48 pixels
LARGE, WIDTH, HEIGHT = 3, 16, 48

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Outfit:
    shirt: Colour
    second: Colour | None = None
    pattern: str = "stripes"
    shorts: Colour = NAVY
    socks: Colour = WHITE


SASH = Outfit(PINK, NAVY, "sash", socks=PINK)
STRIPES = Outfit(MAROON, WHITE, "stripes", socks=MAROON)
OFFICIAL = Outfit(YELLOW, shorts=(20, 20, 20), socks=(20, 20, 20))


@dataclass(frozen=True)
class Person:
    outfit: Outfit
    x: float
    y: float = 0.0
    role: str = "player"
    later: Outfit | None = None  # what the second half of the frames show: somebody else


def drawn(outfit: Outfit, rng: np.random.Generator) -> np.ndarray:
    """A picture of one person on grass, three boxes wide and half as high again as he is."""
    w, h = WIDTH * LARGE, HEIGHT * LARGE
    image = np.full((h * 3 // 2, w * 3, 3), GRASS, np.uint8)
    left, right = int(w * 1.25), int(w * 1.75)
    torso = slice(int(h * 0.15), int(h * 0.48))
    image[torso, left:right] = outfit.shirt
    if outfit.second is not None:
        turned = int(rng.integers(-4, 5))
        if outfit.pattern == "stripes":
            for at in range(left + 5 + turned, right, 8):
                image[torso, at : at + 3] = outfit.second
        elif outfit.pattern == "hoops":
            for at in range(torso.start + 6, torso.stop, 14):
                image[at : at + 6, left:right] = outfit.second
        else:
            middle = (left + right) // 2 + 2 * turned
            image[torso, max(left, middle - 6) : middle + 4] = outfit.second
    image[int(h * 0.48) : int(h * 0.66), left:right] = outfit.shorts
    image[int(h * 0.74) : int(h * 0.93), left : left + 9] = outfit.socks
    image[int(h * 0.74) : int(h * 0.93), right - 9 : right] = outfit.socks
    small = cv2.resize(image, None, fx=1 / LARGE, fy=1 / LARGE, interpolation=cv2.INTER_AREA)
    noisy = small + rng.normal(0, 4, small.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def evidence(people: Sequence[Person], seed: int = 0) -> pa.Table:
    """A row a frame and person, its appearance measured by the detector's own code."""
    rng = np.random.default_rng(seed)
    worn = {each for one in people for each in (one.outfit, one.later) if each}
    poses = {each: [drawn(each, rng) for _ in range(POSES)] for each in sorted(worn, key=str)}
    shown = [
        poses[one.later if one.later and frame >= FRAMES // 2 else one.outfit][int(pose)]
        for frame in range(FRAMES)
        for one, pose in zip(people, rng.integers(0, POSES, len(people)), strict=True)
    ]
    high = shown[0].shape[0]
    top = np.arange(len(shown)) * high
    left = np.full(len(shown), WIDTH)
    boxes = np.column_stack([left, top, left + WIDTH, top + HEIGHT]).astype(np.float32)
    columns = {
        "frame": np.repeat(np.arange(FRAMES), len(people)),
        "track": np.tile(np.arange(len(people)), FRAMES),
        "role": [one.role for one in people] * FRAMES,
        "confidence": np.full(len(shown), 0.9),
        "x": np.tile([one.x for one in people], FRAMES),
        "y": np.tile([one.y for one in people], FRAMES),
        "appearance": list(measure(np.concatenate(shown), boxes)),
    }
    return tables.make("track_evidence", columns)


def identities(people: Sequence[Person], facts: MatchFacts = FACTS) -> list[dict]:
    stage = TeamClassificationStage(TeamClassificationOptions(), facts)
    return run(stage, {"track_evidence": evidence(people)})["identities"].to_pylist()


def match_of(home: Outfit, away: Outfit, official: Outfit = OFFICIAL) -> list[Person]:
    """Ten left of ten, all on the pitch, and two officials whom the detector calls players."""
    people = [Person(home, -8.0, 2.5 * i - 12) for i in range(10)]
    people += [Person(away, 8.0, 2.5 * i - 12) for i in range(10)]
    return [*people, Person(official, 1.0, 3.0), Person(official, 15.0, 34.6)]


@pytest.mark.parametrize(
    ("home", "away"),
    [
        (SASH, STRIPES),  # blurred, both are of one middle colour: they were one team of twenty
        (Outfit(RED, WHITE, "stripes"), Outfit(RED, WHITE, "hoops", shorts=WHITE, socks=RED)),
        (Outfit(SKY, socks=SKY), Outfit(WHITE, SKY, "stripes")),
        (Outfit(WHITE), Outfit((166, 153, 141), socks=NAVY)),
    ],
    ids=["sash and stripes", "stripes and hoops of one pair", "sky and sky-white", "white, grey"],
)
def test_two_teams_in_patterns_and_like_colours(home: Outfit, away: Outfit) -> None:
    found = identities(match_of(home, away))
    assert [row["team"] for row in found[:20]] == ["home"] * 10 + ["away"] * 10
    assert min(row["confidence"] for row in found[:20]) > 0.8


def test_officials_called_players_are_told_by_colour_place_and_number() -> None:
    found = identities(match_of(SASH, STRIPES))
    assert [row["role"] for row in found[20:]] == ["referee"] * 2


def test_a_keeper_called_a_player_is_told_by_colour_and_place() -> None:
    people = match_of(SASH, STRIPES)
    people.append(Person(Outfit(ORANGE, shorts=ORANGE, socks=ORANGE), -47.0, 1.0))
    keeper = identities(people)[22]
    assert (keeper["role"], keeper["team"]) == ("goalkeeper", "home")


def test_one_team_and_officials_are_not_two_teams() -> None:
    # twenty of one colour and two of another at once: no football, so no team is named
    found = identities(
        [*(Person(SASH, 2.0 * i - 20) for i in range(20)), *match_of(SASH, SASH)[20:]]
    )
    assert {row["team"] for row in found[:20]} == {"unknown"}


def test_two_people_followed_as_one_lower_the_confidence() -> None:
    people = match_of(SASH, STRIPES)
    people[0] = replace(people[0], later=STRIPES)
    # half of the boxes are either's: no team has 0.6 of them
    assert identities(people)[0]["team"] == "unknown"


@pytest.mark.parametrize("shirts", [("#e8a7c0", "#7a1230"), (["#e8a7c0", "#0b1f4b"], "#7a1230")])
def test_told_colours_name_the_teams_of_patterned_shirts(shirts: tuple) -> None:
    """One colour of a pattern is told, or both: a sash of pink and navy, stripes of maroon."""
    kits = tuple(Kit.model_validate({"shirt": shirt}) for shirt in shirts)
    for order in (1, -1):
        facts = replace(FACTS, kits=(kits[::order][0], kits[::order][1]))
        found = identities(match_of(SASH, STRIPES), facts)
        assert found[0]["team"] == ("home" if order == 1 else "away")
        assert found[10]["team"] == ("away" if order == 1 else "home")


def test_a_colour_is_shared_among_the_palettes_nearest() -> None:
    palette = Palette((0, 100), (-20, 20), (-20, 20))
    # L 25 is a quarter of the way to 100; a 20 is its last; b 0 is half way
    lab = np.array([[[25.0, 20.0, 0.0]]])
    shares = palette.shares(lab, np.ones((1, 1))).reshape(2, 2, 2)
    np.testing.assert_allclose(shares, [[[0, 0], [0.375, 0.375]], [[0, 0], [0.125, 0.125]]])


@pytest.mark.parametrize("palette", [TORSO_PALETTE, LEGS_PALETTE])
def test_shares_keep_the_mean_colour_inside_the_palette(palette: Palette) -> None:
    rng = np.random.default_rng(0)
    low, high = palette.colours.min(axis=0), palette.colours.max(axis=0)
    lab, weights = rng.uniform(low, high, (5, 40, 3)), rng.random((5, 40))
    mean = (lab * weights[..., None]).sum(axis=1) / weights.sum(axis=1, keepdims=True)
    shares = palette.shares(lab, weights)
    np.testing.assert_allclose(shares @ palette.colours, mean, atol=1e-9)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert not palette.shares(lab, np.zeros((5, 40))).any()


def test_as_many_of_both_teams_are_likelier() -> None:
    seen = Attendance.of(np.zeros(20, np.int64), np.arange(20), np.full(20, 50.0))
    likely = []
    for first in (10, 8, 2):
        one = (np.arange(20) < first).astype(float)
        likely.append(float(seen.log_likelihood(one, 1 - one)) * 20)
    # log of C(11, 10)^2 / C(22, 20) = 121 / 231; of 12 and 8 one is more than a team has and
    # costs 3, and C(11, 11) C(11, 8) / C(22, 19) = 165 / 1540
    assert likely[0] == pytest.approx(np.log(121 / 231))
    assert likely[1] == pytest.approx(np.log(165 / 1540) - 3)
    assert likely[2] < likely[1]


@pytest.mark.parametrize("seed", range(5))
def test_one_lump_of_shirts_is_not_two_teams(seed: int) -> None:
    """A bell curve in six dimensions: it can be halved anywhere, so no half is a team."""
    points = np.random.default_rng(seed).normal(0, 5, (22, 6))
    seen = Attendance.of(np.zeros(22, np.int64), np.arange(22), np.full(22, 50.0))
    kits = find_kits(Crowd(points, np.ones(22), seen))
    assert kits is not None
    assert kits.separation < 0.6


def test_places_tell_keepers_and_assistants() -> None:
    # before the goal, on the touchline, in the middle: keeper, referee, nobody in particular
    at = log_densities(np.array([-47.0, 10.0, 0.0]), np.array([0.0, 34.7, 10.0]))
    player, keeper, referee = at.T
    assert keeper[0] > player[0] + 1
    assert referee[1] > max(player[1], keeper[1]) + 1
    assert keeper[2] < player[2] < keeper[2] + 3
