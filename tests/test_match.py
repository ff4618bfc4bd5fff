"""What is told of a match: its configuration, with lines in errors, and its periods."""

import datetime
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from api.commands.analyze import configured, of_inputs
from api.configuration_file import ConfigurationFile, read
from domain.configuration import ProcessingConfiguration
from domain.errors import ConfigurationError, InputError
from domain.match import Kit, MatchOptions
from domain.periods import InputFile, Period, scheduled
from stages import periods as match_time

DOCS = Path(__file__).parents[1] / "docs" / "match.md"
README = Path(__file__).parents[1] / "README.md"
FILES = [InputFile("in/first.mp4", 0.0, 2900.0), InputFile("in/second.mp4", 2900.0, 5900.0)]


def configuration(*inputs: str, **values: Any) -> ProcessingConfiguration:
    return ProcessingConfiguration.parse({"video_path": inputs or ("match.mp4",), **values})


def periods_of(*options: dict[str, Any], files: list[InputFile] = FILES) -> tuple[Period, ...]:
    match = MatchOptions.model_validate({"periods": options})
    return scheduled(match.periods, files)[0]


# where periods are


def test_two_files_are_the_halves_where_nothing_is_said() -> None:
    assert scheduled((), FILES) == (
        (Period(1, 0.0, 2900.0, 0.0), Period(2, 2900.0, 5900.0, 2900.0)),
        "files",
    )


@pytest.mark.parametrize("count", [1, 3], ids=["one file", "three files"])
def test_other_numbers_of_files_tell_nothing(count: int) -> None:
    files = [InputFile(f"{number}.mp4", number, number + 1.0) for number in range(count)]
    assert scheduled((), files) == ((), "unknown")


def test_a_periods_seconds_are_those_of_its_file() -> None:
    found = periods_of(
        {"file": "first.mp4", "kickoff_s": 100, "home_attacks": "left"},
        {"file": "in/second.mp4", "kickoff_s": 50, "end_s": 2960},
    )
    # nothing before a kick-off counts; the second file begins at 2900 s
    assert found == (
        Period(1, 100.0, 2900.0, 100.0, "left"),
        Period(2, 2950.0, 5860.0, 2950.0),
    )


def test_without_a_file_seconds_are_those_of_the_input() -> None:
    one = [InputFile("match.mp4", 0.0, 7000.0)]
    found = periods_of({"start_s": 10, "end_s": 2800}, {"start_s": 3700, "end_s": 9999}, files=one)
    assert found == (Period(1, 10.0, 2800.0, 10.0), Period(2, 3700.0, 7000.0, 3700.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            [{"start_s": 0, "end_s": 100}, {"start_s": 90, "end_s": 200}],
            r"match\.periods\.1: begins at 90 s .* before period 1 ends at 100 s",
        ),
        ([{"file": "first.mp4", "kickoff_s": 3000}], r"periods\.0: .* it lasts 2900 s"),
        ([{"start_s": 6000, "end_s": 7000}], r"periods\.0: .* it lasts 5900 s"),
    ],
    ids=["overlap", "kick-off after the file", "after the input"],
)
def test_periods_that_cannot_be_are_refused(options: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        periods_of(*options)


def test_the_clock_goes_on_at_45_90_105_and_120_minutes() -> None:
    starts = [Period(number, 0.0, 9.0, 2.0).clock_s(np.array([3.0]))[0] for number in range(1, 6)]
    assert starts == [1.0, 2701.0, 5401.0, 6301.0, 7201.0]  # a second after the kick-off


def test_frames_outside_of_all_periods_have_neither_period_nor_clock() -> None:
    known = (Period(1, 10.0, 20.0, 10.0), Period(2, 30.0, 40.0))
    found = match_time.columns(known, np.array([9.99, 10.0, 20.0, 30.0]))
    assert found["period"].tolist() == [None, 1, None, 2]
    # the end belongs to no period, and the second's kick-off is not known
    assert found["match_clock_s"].tolist() == [None, 0.0, None, None]


# what may be said


@pytest.mark.parametrize(
    ("match", "message"),
    [
        ({"periods": [{"home_attacks": "right"}]}, "periods.0: .*needs file, or start_s and end_s"),
        ({"periods": [{"file": "other.mp4"}]}, "0.file: no input file other.mp4.*match.mp4"),
        ({"periods": [{"start_s": 9, "end_s": 9}]}, "end_s: legal is after start_s"),
        ({"periods": [{"file": "match.mp4", "home_attacks": "up"}]}, "'left' or 'right'.*'up'"),
        ({"home": {"kit": {"shirt": "white"}}}, "home.kit.shirt.0: expected a colour.*'white'"),
        ({"home": {"kit": {"shirt": ["#000000"] * 4}}}, "legal are 1 to 3 colours, actual 4"),
        (
            {"home": {"players": [{"number": 4, "name": "A"}, {"number": 4, "name": "B"}]}},
            "home.players.1.number: two players have the number 4",
        ),
        ({"away": {"players": [{"number": 100, "name": "A"}]}}, "players.0.number: .*99.*100"),
        ({"pitch_length_m": 80}, "match.pitch_length_m: .*90.*80"),
        ({"date": "soon"}, "match.date"),
        ({"perods": []}, "match.perods: unknown option"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place_and_value(
    match: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        configuration(match=match)


def test_the_short_names_say_the_same_but_not_beside_the_others() -> None:
    teams = {"team_classification": {"home_colour": "#00ff00"}}
    short = configuration(pitch={"length_m": 100}, stage_configs=teams)
    long = configuration(match={"pitch_length_m": 100, "home": {"kit": {"shirt": "#00ff00"}}})
    assert short.pitch_played_on() == long.pitch_played_on()
    assert short.kits() == long.kits() == (Kit(shirt=("#00ff00",)), Kit())
    with pytest.raises(ConfigurationError, match=r"pitch.length_m: match.pitch_length_m says it"):
        configuration(pitch={"length_m": 100}, match={"pitch_length_m": 100})
    with pytest.raises(ConfigurationError, match=r"home_colour: match.home.kit.shirt says it"):
        configuration(match={"home": {"kit": {"shirt": "#00ff00"}}}, stage_configs=teams)


# the file


def given(tmp_path: Path, text: str, *settings: str, name: str = "match.yaml") -> ConfigurationFile:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    found = configured(file, settings)
    of_inputs(found, ["match.mp4"])
    return found


def refused(found: ConfigurationFile) -> str:
    with pytest.raises(ConfigurationError) as error, found.named_in_errors():
        ProcessingConfiguration.parse(found.values)
    return str(error.value)


YAML = """segment_s: 20
match:
  home:
    name: Reds
    players:
      - {number: 1, name: A}
      - number: 7
        name: B
        role: sweeper
  pitch_length_m: 300
"""


def test_each_error_names_the_line_it_stands_on(tmp_path: Path) -> None:
    text = refused(given(tmp_path, YAML))
    file = tmp_path / "match.yaml"
    length, role = text.split("; ")
    assert role.startswith(f"{file} line 9: match.home.players.1.role: ")
    assert "'sweeper'" in role
    assert length.startswith(f"{file} line 10: match.pitch_length_m: ")


def test_what_is_missing_has_the_line_of_what_it_is_missing_from(tmp_path: Path) -> None:
    text = refused(given(tmp_path, "match:\n  home:\n    players:\n\n      - {number: 1}\n"))
    assert text == f"{tmp_path / 'match.yaml'} line 5: match.home.players.0.name: missing"


def test_json_has_lines_too_even_indented_by_tabs(tmp_path: Path) -> None:
    text = '{\n\t"match": {\n\t\t"pitch_width_m": 3\n\t}\n}\n'
    found = refused(given(tmp_path, text, name="match.json"))
    assert found.startswith(f"{tmp_path / 'match.json'} line 3: match.pitch_width_m: ")


def test_a_value_of_the_command_line_has_no_line(tmp_path: Path) -> None:
    text = refused(given(tmp_path, YAML, "match.home=3"))
    length, home = text.split("; ")
    assert home.startswith("match.home: ")
    assert "line 10: match.pitch_length_m" in length


def test_a_period_beyond_its_file_is_told_with_its_line(tmp_path: Path) -> None:
    """The files are opened after the configuration is read, and the line is still known."""
    found = given(tmp_path, "match:\n  periods:\n  - {start_s: 10, end_s: 20}\n")
    parsed = ProcessingConfiguration.parse(found.values)
    with (
        pytest.raises(ConfigurationError, match=r"line 3: match.periods.0: begins after"),
        found.named_in_errors(),
    ):
        scheduled(parsed.match.periods, [InputFile("match.mp4", 0.0, 3.0)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("match:\n  home: {kit: {\n", "line 3: not YAML or JSON"),
        ("segment_s: 1\nmatch: {}\nsegment_s: 2\n", "line 3: segment_s: said already on line 1"),
        (
            "match:\n  home:\n    kit:\n      shirt: #8b1a2b\n",
            'line 4: match.home.kit.shirt: # begins a comment .* quotes, "#8b1a2b"',
        ),
        ("match:\n  date: 2026-02-30\n", "day is out of range"),
        ("- one\n", "expected a mapping"),
    ],
    ids=["not closed", "said twice", "colour without quotes", "no such day", "a list"],
)
def test_a_file_that_does_not_mean_what_it_seems_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        given(tmp_path, text)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "no.yaml")


# the documentation


def examples(page: Path) -> list[dict[str, Any]]:
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [values for block in blocks if isinstance(values := yaml.safe_load(block), dict)]


@pytest.mark.parametrize("page", [README, DOCS], ids=lambda page: page.name)
def test_the_examples_are_legal(page: Path) -> None:
    found = [values for values in examples(page) if "match" in values]
    assert found
    for values in found:
        parsed = configuration("first_half.mp4", "second_half.mp4", **values)
        assert parsed.match.home.name
        assert parsed.match.home.kit.shirt
        assert isinstance(parsed.match.date, datetime.date | None)


def test_the_page_names_every_key() -> None:
    page = DOCS.read_text(encoding="utf-8")

    def keys(schema: dict[str, Any]) -> set[str]:
        models = [schema, *schema.get("$defs", {}).values()]
        return {name for model in models for name in model.get("properties", {})}

    named = keys(MatchOptions.model_json_schema())
    assert {"kickoff_s", "goalkeeper", "competition"} <= named
    assert {name for name in named if f"`{name}`" not in page} == set()
