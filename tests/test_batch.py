"""Batches: which matches a folder or a list has, and what becomes of each.

The matches that are analysed are kloppy's samples of tracking data: no pictures, so no time.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import kloppy.tests
import pytest

from api.batch_list import Listed, matches
from api.command_line import main
from domain.errors import InputError

SAMPLES = Path(kloppy.tests.__file__).parent / "files"
TRACAB = ("tracab_meta.xml", "tracab_raw.dat")
METRICA = ("metrica_home.csv", "metrica_away.csv")


def put(folder: Path, *samples: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in samples:
        shutil.copy(SAMPLES / name, folder / name)
    return folder


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


# which matches


def test_a_folder_has_a_match_a_video_and_a_match_a_folder(tmp_path: Path) -> None:
    touch(
        tmp_path / "derby.MP4",
        tmp_path / "notes.txt",
        tmp_path / ".hidden.mp4",
        tmp_path / "cup" / "half10.mkv",
        tmp_path / "cup" / "half2.mkv",
        tmp_path / "cup" / "match.yaml",
        tmp_path / "pictures" / "frame_0001.jpg",
        tmp_path / "empty" / "readme.md",
        # an earlier run's results
        tmp_path / "derby-analysis" / ".footanalytics" / "lock",
        tmp_path / "derby-analysis" / "annotated.mp4",
    )
    assert matches(tmp_path) == [
        Listed(
            "cup",
            (str(tmp_path / "cup" / "half2.mkv"), str(tmp_path / "cup" / "half10.mkv")),
            tmp_path / "cup" / "match.yaml",
        ),
        Listed("derby", (str(tmp_path / "derby.MP4"),)),
        Listed("pictures", (str(tmp_path / "pictures"),)),
    ]


def test_a_list_has_a_match_a_line_and_names_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text('a.mp4 "b c.mp4"   # the final\n\n# nothing\nother/a.mp4\n')
    assert matches(file) == [
        Listed("a", (str(tmp_path / "a.mp4"), str(tmp_path / "b c.mp4"))),
        Listed("a-2", (str(tmp_path / "other" / "a.mp4"),)),
    ]


def test_a_list_in_yaml_may_name_configurations(tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    file.write_text("- a b.mp4\n- [c.mp4, d.mp4]\n- {files: e.mp4, config: e.yaml}\n")
    assert matches(file) == [
        Listed("a b", (str(tmp_path / "a b.mp4"),)),
        Listed("c", (str(tmp_path / "c.mp4"), str(tmp_path / "d.mp4"))),
        Listed("e", (str(tmp_path / "e.mp4"),), tmp_path / "e.yaml"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list.txt", "# nothing\n", "no match in it"),
        ("list.txt", "'open.mp4\n", "line 1: No closing quotation"),
        ("list.yaml", "a: b\n", "expected a list of matches"),
        ("list.yaml", "- a.mp4\n- 3\n", "match 2: expected a file"),
        ("list.yaml", "- {files: a.mp4, out: b}\n", "match 1: expected a file"),
    ],
)
def test_a_bad_list_is_bad_usage(
    tmp_path: Path, name: str, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text)
    assert main(["analyze", "--batch", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_a_folder_without_a_match_or_that_is_not_there_is_bad_usage(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no video file"):
        matches(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        matches(tmp_path / "none")


@pytest.mark.parametrize("more", [["match.mp4", "--batch", "x"], []], ids=["both", "neither"])
def test_inputs_or_a_batch_are_given_not_both(
    more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyze", *more]) == 2
    assert "--batch" in capsys.readouterr().err


# what becomes of them


@pytest.fixture
def season(tmp_path: Path) -> Path:
    """Three matches: one good, one that is no video at all, one good with a configuration."""
    folder = tmp_path / "season"
    put(folder / "one", *TRACAB)
    (folder / "two.mp4").write_text("not a video")
    put(folder / "three", *METRICA)
    (folder / "three" / "match.yaml").write_text("match: {home: {name: Reds}}\n")
    return folder


def batch(folder: Path, out: Path, capsys: pytest.CaptureFixture[str], *more: str) -> Any:
    """The exit code, and the outcomes by match."""
    code = main(["analyze", "--batch", str(folder), "--out", str(out), "--json", *more])
    found = json.loads(capsys.readouterr().out)["matches"]
    return code, {row["match"]: row for row in found}


def test_one_bad_match_does_not_stop_the_others(
    season: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = batch(season, tmp_path / "out", capsys)
    assert code == 1
    assert {name: (row["state"], row["frames"]) for name, row in found.items()} == {
        "one": ("done", 7),
        "three": ("done", 6),
        "two": ("failed", 0),
    }
    assert "two.mp4" in found["two"]["error"]
    summary = json.loads((tmp_path / "out" / "three" / "summary.json").read_text())
    assert summary["match"]["teams"]["home"]["name"] == "Reds"
    assert summary["match"]["periods_from"] == "data"
    assert (tmp_path / "out" / "one" / "tracks.parquet").is_file()


def test_a_second_run_does_only_what_is_not_done(
    season: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    batch(season, out, capsys)
    before = (out / "one" / "run.json").stat().st_mtime_ns
    (season / "two.mp4").unlink()
    (season / "three" / "match.yaml").write_text("match: {home: {name: Blues}}\n")
    code, found = batch(season, out, capsys)
    assert code == 0
    assert {name: (row["state"], row["frames"]) for name, row in found.items()} == {
        "one": ("done before", 7),
        "three": ("done", 6),  # its configuration is another
    }
    assert (out / "one" / "run.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["input", "option", "results"])
def test_what_has_changed_is_not_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    folder, out = put(tmp_path / "season" / "one", *TRACAB).parent, tmp_path / "out"
    batch(folder, out, capsys)
    more: list[str] = []
    if change == "input":
        os.utime(folder / "one" / TRACAB[1], ns=(1, 1))
    elif change == "option":
        more = ["--set", "event_detection.possession_radius_m=3"]
    else:
        (out / "one" / "summary.json").unlink()
    _, found = batch(folder, out, capsys, *more)
    assert found["one"]["state"] == "done"
    assert (out / "one" / "summary.json").is_file()
    assert batch(folder, out, capsys, *more)[1]["one"]["state"] == "done before"


def test_the_command_line_is_above_a_matchs_own_file_and_that_above_the_common_one(
    season: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = tmp_path / "common.yaml"
    common.write_text("match: {competition: Cup, home: {name: Common}, away: {name: Whites}}\n")
    batch(
        season, tmp_path / "out", capsys, "--config", str(common), "--set", "match.competition=Cup2"
    )
    one, three = (
        json.loads((tmp_path / "out" / name / "summary.json").read_text())["match"]
        for name in ("one", "three")
    )
    assert (one["teams"]["home"]["name"], three["teams"]["home"]["name"]) == ("Common", "Reds")
    assert three["teams"]["away"]["name"] == "Whites"
    assert one["competition"] == three["competition"] == "Cup2"


def test_the_error_of_a_match_names_the_line_of_its_own_file(
    season: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = season / "three" / "match.yaml"
    own.write_text("match:\n  home:\n    nmae: Reds\n")
    _, found = batch(season, tmp_path / "out", capsys)
    assert found["three"]["error"].startswith(f"{own} line 3: match.home.nmae: unknown option")


def test_the_table_has_a_line_a_match(
    season: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["analyze", "--batch", str(season), "--out", str(tmp_path / "out")])
    head, *rows, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["match", "state", "frames", "seconds", "where", "error"]
    assert [row.split()[:3] for row in rows] == [
        ["one", "done", "7"],
        ["three", "done", "6"],
        ["two", "failed", "-"],
    ]
    assert last == "3 matches, 1 failed"


def test_results_are_not_put_among_a_matchs_files(
    season: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyze", "--batch", str(season), "--out", str(season)]) == 2
    assert "would lie among its files" in capsys.readouterr().err


def test_a_killed_batch_goes_on_with_the_match_it_was_at(tmp_path: Path) -> None:
    """Killed once the first of three matches is done, while it is at the second (on a machine that
    sleeps just then, at the third); nothing of the first is done again, and all get done."""
    folder, out = tmp_path / "season", tmp_path / "out"
    for name in ("a", "b", "c"):
        put(folder / name, *TRACAB)
    command = [sys.executable, "-m", "api.command_line", "analyze"]
    command += ["--batch", str(folder), "--out", str(out), "--json"]
    mark = out / "a" / ".footanalytics" / "finished.json"
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(6000):
        if mark.is_file():
            break
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    first = (out / "a" / "run.json").stat().st_mtime_ns
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    states = {row["match"]: row["state"] for row in json.loads(done.stdout)["matches"]}
    assert states["a"] == "done before"
    assert set(states) == {"a", "b", "c"}
    assert set(states.values()) <= {"done", "done before"}
    assert (out / "a" / "run.json").stat().st_mtime_ns == first
