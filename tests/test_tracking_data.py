"""Tracking data as input: the samples that kloppy itself ships, each in its own format."""

import json
from pathlib import Path

import kloppy.tests
import pyarrow.parquet as pq
import pytest

from domain.errors import ConfigurationError, InputError
from tests.matches import Recording, analyse, results

SAMPLES = Path(kloppy.tests.__file__).parent / "files"


def _analyse(files: tuple[str, ...], out: Path, **more: object) -> Recording:
    from domain.configuration import ProcessingConfiguration
    from infrastructure.bootstrap.local import analyze_locally

    recording = Recording()
    paths = [str(SAMPLES / name) for name in files]
    configuration = ProcessingConfiguration.parse({"video_path": paths, **more})
    analyze_locally(configuration, out, recording)
    return recording


@pytest.mark.parametrize(
    ("files", "frames"),
    [
        (("tracab_meta.xml", "tracab_raw.dat"), 7),
        (("second_spectrum_fake_metadata.xml", "second_spectrum_fake_data.jsonl"), 376),
        (("metrica_home.csv", "metrica_away.csv"), 6),
        (("epts_metrica_metadata.xml", "epts_metrica_tracking.txt"), 100),
        (("sportec_meta.xml", "sportec_positional.xml"), 202),
    ],
)
def test_the_video_stages_are_skipped(files: tuple[str, ...], frames: int, tmp_path: Path) -> None:
    recording = _analyse(files, tmp_path)
    assert recording.plan is not None
    assert [stage.name for stage in recording.plan.stages] == [
        "tracking_data",
        "event_detection",
        "formation_analysis",
        "metrics_calculation",
        "export",
    ]
    assert pq.read_metadata(tmp_path / "frames.parquet").num_rows == frames
    assert {"tracks.parquet", "identities.parquet", "summary.json"} <= set(results(tmp_path))


def test_places_are_metres_from_the_centre_spot(tmp_path: Path) -> None:
    # TRACAB's own unit is the centimetre, its origin the centre spot: 8889 means 88.89 m
    _analyse(("tracab_meta.xml", "tracab_raw.dat"), tmp_path)
    raw = (SAMPLES / "tracab_raw.dat").read_text().splitlines()[0]
    first = [entry.split(",") for entry in raw.split(":")[1].split(";") if entry]
    expected = sorted(
        (round(float(x) / 100, 2), round(float(y) / 100, 2))
        for team, _, _, x, y, _ in first
        if team in {"0", "1"}
    )
    tracks = pq.read_table(tmp_path / "tracks.parquet").to_pylist()
    frame = tracks[0]["frame"]
    actual = sorted((round(r["x"], 2), round(r["y"], 2)) for r in tracks if r["frame"] == frame)
    assert actual == expected


def test_a_second_run_reuses_the_first(tmp_path: Path) -> None:
    files = ("metrica_home.csv", "metrica_away.csv")
    _analyse(files, tmp_path)
    assert _analyse(files, tmp_path).ran == set()


def test_another_match_in_the_same_folder_is_another_match(tmp_path: Path) -> None:
    _analyse(("epts_metrica_metadata.xml", "epts_metrica_tracking.txt"), tmp_path / "both")
    second = ("second_spectrum_fake_metadata.xml", "second_spectrum_fake_data.jsonl")
    _analyse(second, tmp_path / "both")
    _analyse(second, tmp_path / "alone")
    assert results(tmp_path / "both") == results(tmp_path / "alone")


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"not": "tracking"}))
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(InputError, match=r"not tracking data that kloppy reads"):
        _analyse((str(tmp_path / "a.json"), str(tmp_path / "b.json")), tmp_path / "out")
    with pytest.raises(InputError, match="comes as two files"):
        analyse(tmp_path / "a.json", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_picture_of_tracking_data_cannot_be_asked_for(tmp_path: Path) -> None:
    configs = {"export": {"annotated_video": True}}
    with pytest.raises(ConfigurationError, match="tracking data has no pictures"):
        _analyse(("metrica_home.csv", "metrica_away.csv"), tmp_path, stage_configs=configs)


def test_the_datas_own_periods_count_and_its_clock_goes_on_at_45_minutes(tmp_path: Path) -> None:
    """Four frames of the first half and three of the second, from each kick-off on; the last of
    either is, by its own time stamp, of much later."""
    _analyse(("tracab_meta.xml", "tracab_raw.dat"), tmp_path)
    frames = pq.read_table(tmp_path / "frames.parquet")
    assert frames["period"].to_pylist() == [1, 1, 1, 1, 2, 2, 2]
    clock = frames["match_clock_s"].to_pylist()
    assert clock[:3] + clock[4:6] == pytest.approx([0, 0.04, 0.08, 2700, 2700.04])
    match = json.loads((tmp_path / "summary.json").read_text())["match"]
    assert (match["periods_from"], match["teams_from"]) == ("data", "data")
    # home stands on the right of away first, then on its left
    assert [row["home_attacks"] for row in match["periods"]] == ["left", "right"]


def test_periods_beside_tracking_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"match\.periods: .*leave them out"):
        _analyse(
            ("tracab_meta.xml", "tracab_raw.dat"),
            tmp_path,
            match={"periods": [{"start_s": 0, "end_s": 1}]},
        )
