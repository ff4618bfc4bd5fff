"""Who plays: the players of each team as the identities name them, and which tracks are theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.match import ListedPlayer, MatchOptions

TEAMS = ("home", "away")
# Shirts end at 99: a number from here on stands in for one that is unknown or worn by two.
STAND_IN_NUMBERS_FROM = 100


@dataclass(frozen=True)
class Player:
    """A player of a team; `number` is from the shirt, or a stand-in where that is not known.

    `name` is ours and names him in the tables; `listed` is who he is, where the match's
    configuration lists somebody of his number.
    """

    name: str
    team: str
    number: int
    goalkeeper: bool
    listed: ListedPlayer | None = None

    @property
    def called(self) -> str:
        """His real name where it is known, else ours."""
        return self.listed.name if self.listed else self.name

    @property
    def number_known(self) -> bool:
        return self.number < STAND_IN_NUMBERS_FROM


class Roster:
    """The players of both teams, home first, in order of their first tracks.

    Tracks of unknown team are nobody's, and so are referees'.
    """

    def __init__(self, players: Sequence[Player], player_of_track: Mapping[int, int]) -> None:
        self.players = tuple(players)
        self._tracks = np.array(sorted(player_of_track), dtype=np.int64)
        self._player = np.array([player_of_track[int(t)] for t in self._tracks], dtype=np.int64)

    @classmethod
    def read(cls, identities: pa.Table, details: MatchOptions | None = None) -> "Roster":
        """The players that the identities name, with what `details` lists of them."""
        rows = [row for row in identities.to_pylist() if row["team"] in TEAMS]
        rows.sort(key=lambda row: (TEAMS.index(row["team"]), row["track"]))
        by_name: dict[tuple[str, str], list[dict]] = {}
        for row in rows:
            by_name.setdefault((row["team"], row["player"]), []).append(row)
        numbers = _numbers(by_name)
        players = [
            Player(name, team, numbers[team, name], any(r["role"] == "goalkeeper" for r in tracks))
            for (team, name), tracks in by_name.items()
        ]
        if details:
            players = _listed(players, details)
        order = {key: index for index, key in enumerate(by_name)}
        return cls(players, {row["track"]: order[row["team"], row["player"]] for row in rows})

    def of_tracks(self, tracks: NDArray[np.int64]) -> NDArray[np.int64]:
        """The index in `players` of each track (n,), or -1."""
        if not len(self._tracks):
            return np.full(len(tracks), -1)
        at = np.minimum(np.searchsorted(self._tracks, tracks), len(self._tracks) - 1)
        return np.where(self._tracks[at] == tracks, self._player[at], -1)

    def of_team(self, team: str) -> list[int]:
        """The indices in `players` of a team."""
        return [index for index, player in enumerate(self.players) if player.team == team]


def _listed(players: Sequence[Player], details: MatchOptions) -> list[Player]:
    """The players with those whom the configuration lists: by number, or the only keeper."""
    found = []
    for player in players:
        listed = (details.home if player.team == "home" else details.away).players
        if player.number_known:
            match = [one for one in listed if one.number == player.number]
        else:
            match = _only_keeper(player, players, listed)
        same = replace(player, listed=match[0], number=match[0].number) if match else player
        found.append(same)
    return found


def _only_keeper(
    player: Player, players: Sequence[Player], listed: Sequence[ListedPlayer]
) -> list[ListedPlayer]:
    """Who a keeper of unknown number must be: one was seen, and one is listed."""
    seen = [one for one in players if one.team == player.team and one.goalkeeper]
    keepers = [one for one in listed if one.role == "goalkeeper"]
    taken = {one.number for one in players if one.team == player.team}
    sure = player.goalkeeper and len(seen) == len(keepers) == 1 and keepers[0].number not in taken
    return keepers if sure else []


def _numbers(by_name: Mapping[tuple[str, str], list[dict]]) -> dict[tuple[str, str], int]:
    """One number for each player, different within a team: the first who wears one keeps it."""
    taken: set[tuple[str, int]] = set()
    found: dict[tuple[str, str], int] = {}
    for key, tracks in by_name.items():
        number = next((row["number"] for row in tracks if row["number"] is not None), None)
        if number is not None and (key[0], number) not in taken:
            taken.add((key[0], number))
            found[key] = number
    spare = dict.fromkeys(TEAMS, STAND_IN_NUMBERS_FROM)
    for key in by_name:
        if key not in found:
            found[key] = spare[key[0]]
            spare[key[0]] += 1
    return {key: found[key] for key in by_name}
