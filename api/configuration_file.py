"""A configuration file, YAML or JSON, that remembers on which line each value stands."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain.errors import ConfigurationError, InputError, Place, dotted

_UNQUOTED_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")


@dataclass
class ConfigurationFile:
    """The plain `values` of a file, and where each stands: by place, as "match.yaml line 7"."""

    values: Any
    lines: dict[Place, str] = field(default_factory=dict)
    said_elsewhere: tuple[Place, ...] = ()

    def over(self, below: "ConfigurationFile") -> "ConfigurationFile":
        """What `below` says, but for what is said here."""
        values = merged(below.values, self.values)
        return ConfigurationFile(values, {**below.lines, **self.lines})

    def replaced(self, place: Place) -> None:
        """What stands at `place` now is not from the file."""
        self.said_elsewhere = (*self.said_elsewhere, place)

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Name the file and the line of each bad option that is from the file.

        Raises:
            ConfigurationError: the one raised inside, with the lines.
        """
        try:
            yield
        except ConfigurationError as error:
            if not any(self._line(place) for place, _ in error.problems):
                raise
            told = [self._told(place, text) for place, text in error.problems]
            raise ConfigurationError("; ".join(told)) from error

    def _told(self, place: Place, text: str) -> str:
        line = self._line(place)
        return f"{line}: {dotted(place)}: {text}" if line else f"{dotted(place)}: {text}"

    def _line(self, place: Place) -> str | None:
        """The line of the value at `place`, or of the nearest one around it in the file.

        The whole file is no place: what is missing from it stands on no line.
        """
        if any(place[: len(each)] == each for each in self.said_elsewhere):
            return None
        for length in range(len(place), 0, -1):
            if line := self.lines.get(place[:length]):
                return line
        return None


def read(file: Path) -> ConfigurationFile:
    """Read a mapping of options.

    Raises:
        InputError: the file cannot be read.
        ConfigurationError: it is not YAML or JSON, says a thing twice, or is not a mapping.
    """
    found = read_any(file)
    if not isinstance(found.values, dict):
        raise ConfigurationError(f"{file}: expected a mapping of options")
    return found


def read_any(file: Path) -> ConfigurationFile:
    """The same, whatever the file holds: a list for one."""
    import yaml

    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: not YAML or JSON: it is no text") from error
    loader = yaml.SafeLoader(_without_tabs(text))
    try:
        node = loader.get_single_node()
        if node is None:
            return ConfigurationFile({})
        lines: dict[Place, int] = {}
        _walk(node, (), lines, _Checks(file, text.splitlines()))
        named = {place: f"{file} line {line}" for place, line in lines.items()}
        return ConfigurationFile(loader.construct_document(node), named)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None)
        why = f" ({problem})" if problem else ""
        raise ConfigurationError(f"{file}{line}: not YAML or JSON{why}") from error
    except ValueError as error:  # a date such as 2026-02-30
        raise ConfigurationError(f"{file}: {error}") from error
    finally:
        loader.dispose()


def _without_tabs(text: str) -> str:
    """JSON may be indented by tabs, YAML may not; inside the texts of JSON there are none."""
    if "\t" not in text:
        return text
    try:
        json.loads(text)
    except ValueError:
        return text
    return text.expandtabs(2)


@dataclass(frozen=True)
class _Checks:
    """What YAML takes silently though nobody means it."""

    file: Path
    source: list[str]

    def twice(self, place: Place, line: int, before: int) -> None:
        raise ConfigurationError(
            f"{self.file} line {line}: {dotted(place)}: said already on line {before}"
        )

    def scalar(self, node: Any, place: Place, line: int) -> None:
        """A colour without quotes is a comment, and the option has no value."""
        if node.tag != "tag:yaml.org,2002:null" or node.value or line > len(self.source):
            return
        colour = _UNQUOTED_COLOUR.search(self.source[line - 1])
        if colour:
            raise ConfigurationError(
                f"{self.file} line {line}: {dotted(place)}: # begins a comment in YAML: "
                f'write the colour in quotes, "{colour[0]}"'
            )


def _walk(node: Any, place: Place, lines: dict[Place, int], checks: _Checks) -> None:
    """Fill in the line of each value; that of an option is where its name stands."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(getattr(key, "value", "")))
            line = key.start_mark.line + 1
            if inner in lines and key.tag != "tag:yaml.org,2002:merge":
                checks.twice(inner, line, lines[inner])
            lines[inner] = line
            _walk(value, inner, lines, checks)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[*place, index] = value.start_mark.line + 1
            _walk(value, (*place, index), lines, checks)
    else:
        checks.scalar(node, place, lines.get(place, 0))


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with what `above` says instead, mapping by mapping."""
    result = dict(below)
    for name, value in above.items():
        inner = result.get(name)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        result[name] = merged(inner, value) if both else value  # type: ignore[arg-type]
    return result
