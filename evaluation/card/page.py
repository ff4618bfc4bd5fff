"""Writes the card: a page for a reader, card.json with every number, and the pictures."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from domain.errors import InputError, ResourceError
from evaluation.card.measures import Card, Measure, Picture, Section, Table, as_text

PAGE, NUMBERS, IMAGES = "README.md", "card.json", "images"

_INTRODUCTION = (
    "What the analysis gets right and by how much it is wrong, on material that no part of it was "
    "made with. Each figure stands with the count of cases that it is taken over; an interval is "
    "the 95 % bootstrap interval over those cases, and is left out where they are fewer than five. "
    "A share is from 0 to 1, and 1 is best."
)


def write_card(card: Card, out: Path, private: Path) -> list[Path]:
    """Write the page with its numbers and pictures to `out`, pictures of real footage to `private`.

    Raises:
        InputError: `private` lies inside a repository.
        ResourceError: a folder cannot be written.
    """
    refuse_repository(private)
    files = {
        out / PAGE: page(card).encode(),
        out / NUMBERS: (json.dumps(card.as_json(), indent=1) + "\n").encode(),
    }
    for picture in _pictures(card):
        folder = private if picture.private else out / IMAGES
        files[folder / picture.name] = picture.data
    files[private / PAGE] = _private_page(card).encode()
    _write(files)
    _forget_others(out / IMAGES, {path.name for path in files})
    return list(files)


def refuse_repository(folder: Path) -> None:
    """Pictures of real footage belong to its owners and are never committed.

    Raises:
        InputError: the folder lies inside a Git repository.
    """
    resolved = folder.resolve()
    for parent in (resolved, *resolved.parents):
        if (parent / ".git").exists():
            raise InputError(
                f"{folder}: lies inside the repository {parent}: pictures of real footage are "
                f"never written there; name another folder"
            )


def page(card: Card) -> str:
    """The page as Markdown."""
    lines = [
        "# The accuracy card",
        "",
        _INTRODUCTION,
        "",
        "`footanalytics evaluate card --out docs/accuracy` makes this page again; "
        "[docs/notes/evaluation.md](../notes/evaluation.md) says how each figure is taken, and "
        "[card.json](card.json) holds every number.",
        "",
        *_summary(card),
    ]
    for section in card.sections:
        lines += _section(section)
    return "\n".join([*lines, *_how(card)]) + "\n"


def _summary(card: Card) -> Iterator[str]:
    yield from ("## In short", "")
    for section in card.sections:
        headlines = [measure for measure in section.measures if measure.headline]
        if headlines:
            yield from (f"**{section.title}**", "")
            yield from _measures(headlines)
    for section in card.missing:
        yield from (f"{section.title}: not in this card ({section.missing}).", "")


def _section(section: Section) -> Iterator[str]:
    yield from (f"## {section.title}", "")
    if section.missing:
        yield from (f"Not in this card: {section.missing}.", "")
        return
    yield from (section.taken, "")
    for picture in section.pictures:
        if not picture.private:
            yield from (
                f"![{picture.caption}]({IMAGES}/{picture.name})", "", f"*{picture.caption}*", ""
            )  # fmt: skip
    yield from _measures(section.measures)
    for table in section.tables:
        yield from _table(table)
    hidden = sum(picture.private for picture in section.pictures)
    if hidden:
        yield from (
            f"The {hidden} worst frames are pictures of real footage: whoever runs the card finds "
            f"them in its `--private` folder.",
            "",
        )


def _measures(measures: Sequence[Measure]) -> Iterator[str]:
    beside = any(measure.beside for measure in measures)
    header = ["what", "figure", "95 % interval", "cases", *(["beside"] if beside else [])]
    rows = [
        [
            measure.label,
            as_text(measure.value, measure.unit),
            _interval(measure),
            f"{measure.cases} {measure.case}",
            *([measure.beside] if beside else []),
        ]
        for measure in measures
    ]
    yield from _rows(header, rows)


def _interval(measure: Measure) -> str:
    if measure.interval is None:
        return ""
    low, high = (as_text(value, measure.unit) for value in measure.interval)
    return f"{low} to {high}"


def _table(table: Table) -> Iterator[str]:
    yield from (f"**{table.title}**", "")
    yield from _rows(table.header, table.rows)


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _how(card: Card) -> Iterator[str]:
    yield from ("## How long it took", "")
    rows = [
        [section.title, f"{section.wall_s:.0f} s"] for section in card.sections if section.wall_s
    ]
    yield from _rows(["section", "time"], [*rows, ["together", f"{card.wall_s:.0f} s"]])
    yield f"On {card.machine}."


def _private_page(card: Card) -> str:
    """What the pictures of real footage show, for whoever ran the card."""
    lines = ["# Worst cases on real footage", "", "Not to be committed or passed on.", ""]
    for picture in _pictures(card):
        if picture.private:
            lines += [f"![{picture.caption}]({picture.name})", "", f"*{picture.caption}*", ""]
    return "\n".join(lines)


def _pictures(card: Card) -> Iterator[Picture]:
    for section in card.sections:
        yield from section.pictures


def _write(files: dict[Path, bytes]) -> None:
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except OSError as error:
        raise ResourceError(f"{error.filename}: cannot be written ({error.strerror})") from error


def _forget_others(images: Path, kept: set[str]) -> None:
    """Pictures of an earlier card that this one does not have."""
    for path in images.glob("*") if images.is_dir() else ():
        if path.suffix in (".png", ".jpg") and path.name not in kept:
            path.unlink()
