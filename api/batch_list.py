"""Which matches a batch has: those of a folder, or those that a file lists."""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from api.configuration_file import read_any
from domain.errors import ConfigurationError, InputError

VIDEOS = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".avi"}
    | {".flv", ".ogv", ".wmv", ".asf", ".mxf"}
)
IMAGES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})
TRACKING = frozenset({".json", ".jsonl", ".xml", ".dat", ".csv", ".txt"})
CONFIGURATIONS = ("match.yaml", "match.yml", "match.json")
LISTS = frozenset({".yaml", ".yml", ".json"})
_RESULTS = ".footanalytics"


@dataclass(frozen=True)
class Listed:
    """A match of a batch: its name, which is that of its folder of results, and its files."""

    name: str
    inputs: tuple[str, ...]
    configuration: Path | None = None


def matches(source: Path) -> list[Listed]:
    """The matches in a folder, or in a list file, in order; no two of one name.

    Raises:
        InputError: it cannot be read, or there is no match in it.
    """
    try:
        found = list(_in_folder(source)) if source.is_dir() else list(_in_list(source))
    except OSError as error:
        raise InputError(f"--batch {source}: {error.strerror}") from error
    if not found:
        what = "no video file and no folder with one" if source.is_dir() else "no match"
        raise InputError(f"--batch {source}: {what} in it")
    return _with_names_of_their_own(found)


def _in_folder(folder: Path) -> Iterator[Listed]:
    """Each video file is a match, and each folder of files that can be one."""
    for entry in _sorted(folder):
        if entry.is_dir() and not (entry / _RESULTS).exists():
            if inputs := _of_one_match(entry):
                yield Listed(entry.name, inputs, _configuration_in(entry))
        elif entry.is_file() and entry.suffix.lower() in VIDEOS:
            yield Listed(entry.stem, (str(entry),))


def _of_one_match(folder: Path) -> tuple[str, ...]:
    """The files of a match that has a folder of its own: its videos in order, its images, or
    tracking data; nothing where it holds none of them."""
    files = [entry for entry in _sorted(folder) if entry.is_file()]
    files = [entry for entry in files if entry.name not in CONFIGURATIONS]
    if videos := [str(entry) for entry in files if entry.suffix.lower() in VIDEOS]:
        return tuple(videos)
    if any(entry.suffix.lower() in IMAGES for entry in files):
        return (str(folder),)
    tracking = [str(entry) for entry in files if entry.suffix.lower() in TRACKING]
    return tuple(tracking) if len(tracking) == 2 else ()


def _configuration_in(folder: Path) -> Path | None:
    return next((folder / name for name in CONFIGURATIONS if (folder / name).is_file()), None)


def _sorted(folder: Path) -> list[Path]:
    """What is in a folder but hidden, numbers in names by their value: half2 before half10."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    return sorted(entries, key=lambda entry: _natural(entry.name))


def _natural(name: str) -> list[tuple[int, str]]:
    pieces = re.split(r"(\d+)", name.lower())
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in pieces]


def _in_list(file: Path) -> Iterator[Listed]:
    """The matches that a file lists; paths in it start at its own folder."""
    if file.suffix.lower() in LISTS:
        values = read_any(file).values
        if not isinstance(values, list):
            raise ConfigurationError(f"{file}: expected a list of matches")
        for number, value in enumerate(values, start=1):
            yield _entry(file.parent, value, f"{file} match {number}")
        return
    for number, line in enumerate(_lines(file), start=1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise ConfigurationError(f"{file} line {number}: {error}") from error
        if words:
            yield _named(file.parent, words)


def _lines(file: Path) -> Sequence[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"--batch {file}: is no list of matches: not a text") from error


def _entry(folder: Path, value: Any, where: str) -> Listed:
    """An entry of a YAML list: a file, a list of files, or {files, config}."""
    config = None
    if isinstance(value, dict) and set(value) <= {"files", "config"}:
        config, value = value.get("config"), value.get("files")
    files = [value] if isinstance(value, str) else value
    texts = isinstance(files, list) and files and all(isinstance(each, str) for each in files)
    if not texts or not isinstance(config, str | None):
        raise ConfigurationError(f"{where}: expected a file, a list of files, or {{files, config}}")
    listed = _named(folder, files)
    return replace(listed, configuration=folder / config) if config else listed


def _named(folder: Path, files: Sequence[str]) -> Listed:
    paths = [folder / file for file in files]
    first = paths[0]
    name = first.name if first.is_dir() else first.stem
    configuration = _configuration_in(first) if first.is_dir() else None
    return Listed(name, tuple(str(path) for path in paths), configuration)


def _with_names_of_their_own(found: Sequence[Listed]) -> list[Listed]:
    """Equal names get a number, in order."""
    taken: set[str] = set()
    result = []
    for match in found:
        name = _free(match.name, taken.__contains__)
        taken.add(name)
        result.append(replace(match, name=name))
    return result


def _free(name: str, taken: Callable[[str], bool]) -> str:
    number, free = 1, name
    while taken(free):
        number += 1
        free = f"{name}-{number}"
    return free
