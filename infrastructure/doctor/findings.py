"""What an examination finds."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from domain.errors import FootAnalyticsError
from infrastructure.settings import masked

Level = Literal["ok", "warning", "failed", "skipped"]


class Note(NamedTuple):
    """What a check says: how it is and, unless all is well, what to do."""

    level: Level
    text: str


def good(text: str) -> Note:
    return Note("ok", text)


def warning(text: str) -> Note:
    return Note("warning", text)


def failed(text: str) -> Note:
    return Note("failed", text)


Check = Callable[[], Iterator[Note]]


@dataclass(frozen=True)
class Finding:
    """A note with the name of the check that made it."""

    check: str
    level: Level
    text: str


def findings(name: str, check: Check) -> Iterator[Finding]:
    """What one check finds. What breaks it is a finding, and the other checks go on."""
    try:
        for note in check():
            yield Finding(name, note.level, _fit_to_show(note.text))
    except FootAnalyticsError as error:
        yield Finding(name, "failed", _fit_to_show(str(error)))
    except Exception as error:  # a check's edge
        said = f"this could not be looked at ({type(error).__name__}: {error})"
        yield Finding(name, "failed", _fit_to_show(said))


def is_healthy(found: Iterable[Finding]) -> bool:
    """Whether nothing failed; a warning is no failure."""
    return all(finding.level != "failed" for finding in found)


def _fit_to_show(text: str) -> str:
    """In one line and without passwords, whoever wrote it."""
    return masked(" ".join(text.split()))
