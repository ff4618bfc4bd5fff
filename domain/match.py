"""What people know of a match before it is analysed: its periods, pitch, teams and players."""

import datetime
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

COLOUR = r"#[0-9a-fA-F]{6}"
Side = Literal["left", "right"]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Seconds = Annotated[float, Field(ge=0, le=86400)]


def _colour(value: Any) -> Any:
    """YAML reads an unquoted #rrggbb as a comment, and what is left is nothing."""
    if not isinstance(value, str) or not re.fullmatch(COLOUR, value):
        raise ValueError('expected a colour as "#rrggbb", in quotes')
    return value


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


Colour = Annotated[str, BeforeValidator(_colour), Field(pattern=f"^{COLOUR}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PeriodOptions(_Strict):
    """One period. Its seconds count from the start of `file`, without one of the whole input."""

    file: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        None, description="one of the input files, by its name: the period is all of it"
    )
    start_s: Seconds | None = Field(None, description="where the period begins")
    end_s: Seconds | None = Field(None, description="where the period ends")
    kickoff_s: Seconds | None = Field(
        None, description="when it kicks off; nothing before counts; empty: at its start"
    )
    home_attacks: Side | None = Field(
        None, description="the side that home attacks, as the camera sees it; empty: estimated"
    )

    @model_validator(mode="after")
    def _is_somewhere(self) -> "PeriodOptions":
        if self.file is None and (self.start_s is None or self.end_s is None):
            raise ValueError("a period needs file, or start_s and end_s")
        if self.end_s is not None and self.end_s <= max(self.start_s or 0, self.kickoff_s or 0):
            raise ValueError(f"end_s: legal is after start_s and kickoff_s, actual {self.end_s:g}")
        return self


def _one_shirt_at_least(colours: tuple[str, ...]) -> tuple[str, ...]:
    if not 1 <= len(colours) <= 3:
        raise ValueError(f"legal are 1 to 3 colours, actual {len(colours)}")
    return colours


Shirt = Annotated[tuple[Colour, ...], BeforeValidator(_listed), AfterValidator(_one_shirt_at_least)]


class Kit(_Strict):
    """What a team wears, in colours as they look."""

    shirt: Shirt | None = Field(
        None, description='one colour, "#rrggbb", or a list of up to three of a striped shirt'
    )
    shorts: Colour | None = None
    goalkeeper: Colour | None = Field(None, description="the goalkeeper's shirt")


class ListedPlayer(_Strict):
    number: int = Field(ge=0, le=99, description="on the shirt")
    name: Name
    role: Literal["goalkeeper", "defender", "midfielder", "forward"] | None = None


class TeamOptions(_Strict):
    """A team: what it is called, what it wears, who is in it."""

    name: Name | None = None
    kit: Kit = Kit()
    players: Annotated[tuple[ListedPlayer, ...], Field(max_length=60)] = ()

    @model_validator(mode="after")
    def _numbers_differ(self) -> "TeamOptions":
        seen: set[int] = set()
        for index, player in enumerate(self.players):
            if player.number in seen:
                place = ("players", index, "number")
                raise at(place, f"two players have the number {player.number}")
            seen.add(player.number)
        return self


class MatchOptions(_Strict):
    """All of it is optional; what is not said is estimated or stays unknown."""

    periods: Annotated[tuple[PeriodOptions, ...], Field(max_length=5)] = Field(
        (), description="the halves in order, then those of extra time and the shoot-out"
    )
    pitch_length_m: float | None = Field(None, ge=90, le=120)
    pitch_width_m: float | None = Field(None, ge=45, le=90)
    home: TeamOptions = TeamOptions()
    away: TeamOptions = TeamOptions()
    competition: Name | None = None
    date: datetime.date | None = Field(None, description="the day it was played, as 2026-05-30")


def at(place: tuple[str | int, ...], text: str) -> PydanticCustomError:
    """An error of a value deeper inside the one that a validator sees."""
    return PydanticCustomError("place", "{text}", {"text": text, "place": place})
