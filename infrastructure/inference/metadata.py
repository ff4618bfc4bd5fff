"""Class names and image sizes as networks' files give them: our keys, and Ultralytics'.

Values come from anybody's file, so each is checked, and what is odd is told in one line.
"""

import ast
from collections.abc import Mapping
from typing import Any

from domain.errors import InputError

_SHOWN = 60


def names_in(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """The class names in order: our exports' `roles`, or Ultralytics' `names`; empty without them.

    Raises:
        InputError: there is something else under the key.
    """
    if roles := metadata.get("roles"):
        return tuple(str(roles).split(","))
    value = _read(metadata.get("names"))
    try:
        return _ordered(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"the file's names: expected {{0: 'player', ...}} or ['player', ...], "
            f"actual {_shown(value)}"
        ) from None


def size_in(metadata: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width: Ultralytics' `imgsz`, or our trainings' `input_size`; None without them.

    Raises:
        InputError: there is something else under the key.
    """
    key = "imgsz" if metadata.get("imgsz") else "input_size"
    value = _read(metadata.get(key))
    if value in (None, ""):
        return None
    sides = value.split("x") if isinstance(value, str) else value
    sides = list(sides) if isinstance(sides, list | tuple) else [sides, sides]
    if len(sides) != 2 or not all(_is_side(side) for side in sides):
        raise InputError(
            f"the file's {key}: expected a height and a width in pixels, actual {_shown(value)}"
        )
    return int(sides[0]), int(sides[1])


def _ordered(value: Any) -> tuple[str, ...]:
    if isinstance(value, dict):
        numbered = {int(index): name for index, name in value.items()}
        if len(numbered) < len(value) or any(int(index) != float(index) for index in value):
            raise ValueError
        value = [numbered[index] for index in sorted(numbered)]
    if value in (None, ""):
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(n, str | int) for n in value):
        raise ValueError
    return tuple(str(name) for name in value)


def _is_side(side: Any) -> bool:
    if isinstance(side, str):
        return side.isdecimal() and len(side) < 6 and int(side) > 0
    return isinstance(side, int) and not isinstance(side, bool) and 0 < side < 100_000


def _read(value: Any) -> Any:
    """ONNX holds text alone: a list or dictionary is written as Python writes it."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return value


def _shown(value: Any) -> str:
    try:
        text = ascii(value)
    except ValueError:  # Python writes no number of thousands of digits
        return "a number too long to show"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
