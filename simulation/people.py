"""The people of a match: two squads of eleven, the referee and two assistants."""

from dataclasses import dataclass, replace

import numpy as np

from simulation.arrays import Floats
from simulation.formations import FORMATIONS, Slot
from simulation.kits import Kit, MatchKits

SQUAD = 11
PLAYERS = 2 * SQUAD
REFEREE = PLAYERS
ASSISTANTS = (PLAYERS + 1, PLAYERS + 2)
PEOPLE = PLAYERS + 3
KEEPERS = (0, SQUAD)

# Top speeds of professionals, 8 to 9.6 m/s for outfield players; keepers and referees are slower.
TOP_SPEED_MPS = (7.9, 9.2)
SLOW_TOP_SPEED_MPS = (6.6, 7.6)
HEIGHT_M = (1.83, 0.06, 1.68, 1.98)  # mean, spread, least, most
KEEPER_HEIGHT_M = 1.90
SKIN_TONES = ("#f1c7a8", "#e3ae86", "#c68a5c", "#9c6440", "#6b4228", "#4a2d1c")
HAIR_TONES = ("#17120e", "#17120e", "#3b2717", "#6b4a2a", "#b78d4e", "#2a1d14")
BOOTS = ("#f4f4f4", "#16181d", "#16181d", "#e2f04a", "#f0663c", "#3fb8e8", "#e84a8c")
GIRTH = (1.0, 0.06, 0.9, 1.14)  # of limbs and trunk: mean, spread, least, most
HAIR_VOLUME = (0.94, 1.0, 1.0, 1.06, 1.3)
LONG_SLEEVES_SHARE = 0.3


@dataclass(frozen=True)
class Person:
    """One human on the pitch; `slot` is None for keepers and officials."""

    name: str
    team: str
    role: str
    number: int | None
    position: str
    slot: Slot | None
    kit: Kit
    height_m: float
    top_speed_mps: float
    skin: str = SKIN_TONES[0]
    hair: str = HAIR_TONES[0]
    boots: str = BOOTS[0]
    bald: bool = False
    long_sleeves: bool = False
    girth: float = 1.0
    hair_volume: float = 1.0


def draw_people(
    rng: np.random.Generator, kits: MatchKits, formations: tuple[str, str]
) -> list[Person]:
    """The 25 people in the order home 0..10, away 11..21 (keepers first), referee, assistants."""
    people = _squad(rng, "home", formations[0], kits.home, kits.home_keeper)
    people += _squad(rng, "away", formations[1], kits.away, kits.away_keeper)
    for name in ("referee", "assistant_1", "assistant_2"):
        people.append(_person(rng, name, "referee", "referee", None, name, None, kits.referee))
    (features,) = rng.spawn(1)  # so that how people look never moves how they play
    return [dressed(person, features) for person in people]


def dressed(person: Person, rng: np.random.Generator) -> Person:
    """The same person with drawn features."""
    skin, hair, boots = (str(rng.choice(tones)) for tones in (SKIN_TONES, HAIR_TONES, BOOTS))
    mean, spread, least, most = GIRTH
    long = rng.random() < LONG_SLEEVES_SHARE or person.role == "goalkeeper"
    return replace(
        person,
        skin=skin,
        hair=hair,
        boots="#16181d" if person.role == "referee" else boots,
        bald=bool(rng.random() < 0.1),
        long_sleeves=bool(long),
        girth=float(np.clip(rng.normal(mean, spread), least, most)),
        hair_volume=float(rng.choice(HAIR_VOLUME)),
    )


def draw_formation(rng: np.random.Generator, wanted: str | None) -> str:
    """The formation asked for, or one drawn from all."""
    return wanted or str(rng.choice(list(FORMATIONS)))


def _squad(
    rng: np.random.Generator, team: str, formation: str, kit: Kit, keeper: Kit
) -> list[Person]:
    numbers = [1, *(int(n) for n in rng.permutation(np.arange(2, 31))[:10])]
    squad = [_person(rng, f"{team}_1", team, "goalkeeper", 1, "GK", None, keeper)]
    for slot, number in zip(FORMATIONS[formation], numbers[1:], strict=True):
        name = f"{team}_{number}"
        squad.append(_person(rng, name, team, "player", number, slot.position, slot, kit))
    return squad


def _person(
    rng: np.random.Generator,
    name: str,
    team: str,
    role: str,
    number: int | None,
    position: str,
    slot: Slot | None,
    kit: Kit,
) -> Person:
    mean, spread, least, most = HEIGHT_M
    centre = KEEPER_HEIGHT_M if role == "goalkeeper" else mean
    height = float(np.clip(rng.normal(centre, spread), least, most))
    speeds = TOP_SPEED_MPS if role == "player" else SLOW_TOP_SPEED_MPS
    return Person(
        name, team, role, number, position, slot, kit, height, float(rng.uniform(*speeds))
    )


def top_speeds(people: list[Person]) -> Floats:
    """Top speeds in metres a second, one a person."""
    return np.array([person.top_speed_mps for person in people])
