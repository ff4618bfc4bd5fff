"""Writes docs/options.md, the list of every option, from the configuration's own classes."""

import types
import typing
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from domain.configuration import ProcessingConfiguration, Speed, StageConfigs
from domain.match import MatchOptions

HEAD = """# Options

Written by `python -m docs.options`; a test compares. An option of a stage is given as
`--set STAGE.OPTION=VALUE`, one of the whole run as `--set OPTION=VALUE`, or all in a file:

```yaml
# footanalytics analyze match.mp4 --config match.yaml
segment_s: 20
match: {home: {kit: {shirt: "#ffffff"}}, away: {kit: {shirt: "#8b1a2b"}}}   # docs/match.md
stage_configs:
  player_detection: {confidence_threshold: 0.1, nms_threshold: 0.6}
  ball_tracking: {tracking_method: kalman, max_missing_frames: 10}
  pitch_calibration:
    fixed_points:            # a camera that never moves: four or more places known on the pitch
      - {pixel: [412, 233], metre: [-52.5, 34]}
      - {pixel: [1650, 240], metre: [52.5, 34]}
      - {pixel: [1904, 1010], metre: [52.5, -34]}
      - {pixel: [30, 1004], metre: [-52.5, -34]}
```

Changing an option runs again just what depends on it; those marked * change the speed alone.
"""


def page() -> str:
    """The whole page."""
    sections = [HEAD, _section("The whole run", ProcessingConfiguration, skip={"stage_configs"})]
    for name, field in StageConfigs.model_fields.items():
        sections.append(_section(name, type(field.default)))
    return "\n".join(sections)


def _section(title: str, model: type[BaseModel], skip: Collection[str] = ()) -> str:
    rows = ["| option | default | legal | |\n|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if name not in skip:
            star = "*" if any(isinstance(mark, Speed) for mark in field.metadata) else ""
            legal = _legal(field.annotation, field.metadata)
            shown = "" if field.is_required() else f"`{_plain(field.default)}`"
            rows.append(f"| {name}{star} | {shown} | {legal} | {field.description or ''} |")
    return f"## {title}\n" + "\n".join(rows) + "\n"


def _legal(kind: Any, metadata: list[Any]) -> str:
    words = [_kind(kind)]
    for mark in metadata:
        for sign, name in (("≥", "ge"), (">", "gt"), ("≤", "le"), ("<", "lt")):
            if (limit := getattr(mark, name, None)) is not None:
                words.append(f"{sign} {limit:g}")
    return ", ".join(word for word in words if word)


def _kind(kind: Any) -> str:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return ", ".join(str(value) for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind(each) for each in inner if each is not type(None))
    if origin is typing.Annotated:
        return _legal(inner[0], list(inner[1:]))
    if origin is tuple:
        return "list of " + _kind(inner[0])
    names = {bool: "true, false", int: "whole number", float: "number", str: "text"}
    return names.get(kind, "see above")


def _plain(value: Any) -> str:
    if isinstance(value, MatchOptions):
        return "empty"
    if isinstance(value, BaseModel):
        return str(value.model_dump())
    if isinstance(value, tuple):
        return str(list(value)).replace("'", "")
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: "empty"}[value]
    return str(value)


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page(), encoding="utf-8")
