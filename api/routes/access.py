"""Who calls, and what they may: the one place where keys and scopes are looked at.

There are no keys yet, so everybody is the same nameless caller and may do everything.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends

Scope = Literal["read", "submit", "operate"]


@dataclass(frozen=True)
class Caller:
    """Whose matches these are; empty for nobody in particular."""

    owner: str = ""


async def _reading() -> Caller:
    return Caller()


async def _submitting() -> Caller:
    return Caller()


async def _operating() -> Caller:
    return Caller()


Reading = Annotated[Caller, Depends(_reading)]
Submitting = Annotated[Caller, Depends(_submitting)]
Operating = Annotated[Caller, Depends(_operating)]
