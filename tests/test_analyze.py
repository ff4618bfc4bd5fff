"""A whole match on one machine: what is reused, what survives kill -9, what is refused."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from domain import tables
from domain.configuration import STAGES, ProcessingConfiguration
from domain.errors import FootAnalyticsError, PlanError, ResourceError
from infrastructure.conversion import convert
from infrastructure.matches import Logged, plan_for_cluster
from infrastructure.planning import models_folder
from tests.matches import (
    QUICK,
    Recording,
    analyse,
    cells_with_changed_inputs,
    render_match,
    results,
    with_option,
)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_match(tmp_path_factory.mktemp("match"))


@pytest.fixture(scope="module")
def run_once(video: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recording]:
    """The folder of a run that nothing disturbed, and which cells it ran."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    return out, analyse(video, out)


@pytest.fixture(scope="module")
def undisturbed(run_once: tuple[Path, Recording]) -> Path:
    return run_once[0]


@pytest.fixture(scope="module")
def first(run_once: tuple[Path, Recording]) -> Recording:
    return run_once[1]


@pytest.fixture
def again(undisturbed: Path, tmp_path: Path) -> Path:
    """A copy of that folder, for a run that changes something."""
    return Path(shutil.copytree(undisturbed, tmp_path / "again"))


def test_every_table_is_there_and_keeps_its_contract(undisturbed: Path) -> None:
    for name in tables.PUBLIC_TABLES:
        table = pq.read_table(undisturbed / f"{name}.parquet")
        tables.check(name, table)
    # 3 s at 25 frames a second
    assert pq.read_metadata(undisturbed / "frames.parquet").num_rows == 75
    assert json.loads((undisturbed / "summary.json").read_text())["video"]["frames"] == 75


def test_every_checkpoint_tells_the_lease_it_was_made_under(first: Recording) -> None:
    """But for cells whose input another segment had too: theirs is the lease of the first."""
    jobs = first.plan.jobs if first.plan else ()
    ran = [job for job in jobs if first.ran.intersection(job.cells)]
    assert len({first.checkpoints[cell].token for cell in first.ran}) == len(ran) > 0


def test_the_match_is_seen(undisturbed: Path) -> None:
    detections = pq.read_table(undisturbed / "detections.parquet")
    people = sum(role != "ball" for role in detections["role"].to_pylist())
    assert people / 75 > 8  # the main camera shows more than a third of the 25 people
    assert "measured" in set(
        pq.read_table(undisturbed / "calibration.parquet")["status"].to_pylist()
    )


def test_a_second_run_takes_everything_from_the_first(video: Path, again: Path) -> None:
    before = results(again)
    recording = analyse(video, again)
    assert (recording.ran, recording.frames) == (set(), 0)
    assert results(again) == before


@pytest.mark.slow
def test_segments_do_not_change_the_result(video: Path, undisturbed: Path, tmp_path: Path) -> None:
    analyse(video, tmp_path / "out", {**QUICK, "segment_s": 0.4})
    expected, actual = results(undisturbed), results(tmp_path / "out")
    assert expected.keys() == actual.keys()
    for name in tables.PUBLIC_TABLES:
        first, second = (
            pq.read_table(folder / f"{name}.parquet") for folder in (undisturbed, tmp_path / "out")
        )
        columns = [column for column in first.column_names if column != "segment"]
        assert first.select(columns).equals(second.select(columns)), name


@pytest.mark.slow
def test_several_processes_give_the_same_bytes(
    video: Path, undisturbed: Path, tmp_path: Path
) -> None:
    _command(video, tmp_path / "out", "--processes", "2").check_returncode()
    assert results(tmp_path / "out") == results(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "options"),
    [
        ("player_detection", {"nms_threshold": 0.05}),
        ("pitch_observation", {"confidence_threshold": 0.9}),
        ("pitch_calibration", {"max_error_m": 0.05}),
        ("player_tracking", {"min_track_s": 1.5}),
        ("ball_tracking", {"max_ball_radius": 1.0}),
        ("team_classification", {"min_observations": 40}),
        ("event_detection", {"possession_radius_m": 9.0}),
        ("formation_analysis", {"window_s": 2.0}),
        ("metrics_calculation", {"sprint_speed_mps": 2.0}),
        ("export", {"radar": False}),
    ],
)
def test_changing_an_option_runs_just_the_cells_that_depend_on_it(
    video: Path, first: Recording, again: Path, stage: str, options: dict[str, Any]
) -> None:
    second = analyse(video, again, with_option(QUICK, stage, **options))
    assert second.plan is not None
    own = {cell for cell in second.plan.cells if cell.stage == stage}
    concerned = own | cells_with_changed_inputs(first, second)
    assert second.ran <= concerned
    # a cell whose input another segment had too, here still none, has its result
    done = {second.checkpoints[cell].key for cell in second.ran}
    assert {second.checkpoints[cell].key for cell in concerned} == done
    not_downstream = {"player_detection", "pitch_observation", "video_decoding"} - {stage}
    assert not second.stages_that_ran() & not_downstream
    assert (second.frames > 0) == (stage in {"player_detection", "pitch_observation"})


_PIXELS = {"video_decoding", "player_detection", "pitch_observation"}


@pytest.mark.parametrize(
    ("match", "runs", "never"),
    [
        ({"home": {"name": "Reds"}}, {"export"}, set(STAGES) - {"export"}),
        (
            {"home": {"kit": {"shirt": "#d01020"}}},
            {"team_classification", "export"},
            _PIXELS | {"pitch_calibration", "player_tracking", "ball_tracking"},
        ),
        (
            {"periods": [{"start_s": 1, "end_s": 2.5}]},
            {"pitch_calibration", "team_classification", "event_detection", "export"},
            _PIXELS,
        ),
    ],
    ids=["a name", "a kit", "a period"],
)
def test_what_is_told_of_the_match_runs_just_the_stages_that_ask_for_it(
    video: Path, again: Path, match: dict[str, Any], runs: set[str], never: set[str]
) -> None:
    ran = analyse(video, again, {**QUICK, "match": match}).stages_that_ran()
    assert runs <= ran
    assert not never & ran


@pytest.mark.slow
def test_other_frames_are_another_match(video: Path, again: Path) -> None:
    recording = analyse(video, again, with_option(QUICK, "video_decoding", target_fps=12.5))
    assert recording.stages_that_ran() == set(STAGES)
    # every second frame of 75
    assert pq.read_metadata(again / "frames.parquet").num_rows in (37, 38)


def test_an_option_of_speed_runs_nothing(video: Path, again: Path) -> None:
    slower = with_option({**QUICK, "batch_size": 2}, "player_detection", batch_size=3)
    assert analyse(video, again, slower).ran == set()


@pytest.mark.slow
def test_without_checkpoints_nothing_is_reused_and_nothing_is_left(
    video: Path, tmp_path: Path
) -> None:
    values = {**QUICK, "checkpoint_enabled": False}
    assert len(analyse(video, tmp_path / "out", values).ran) > 0
    assert analyse(video, tmp_path / "out", values).reused == set()
    left = [path for path in (tmp_path / "out" / ".footanalytics").rglob("*") if path.is_file()]
    assert {path.name for path in left} == {"lock", "published.json", "finished.json"}


def test_a_subset_of_the_stages_runs_by_itself(video: Path, tmp_path: Path) -> None:
    values = {**QUICK, "stages": ["video_decoding", "player_detection", "export"]}
    analyse(video, tmp_path / "out", values)
    assert "detections.parquet" in results(tmp_path / "out")
    assert "tracks.parquet" not in results(tmp_path / "out")


def test_a_subset_that_misses_a_stage_is_refused(video: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="player_tracking requires detections, frames"):
        analyse(video, tmp_path / "out", {**QUICK, "stages": ["video_decoding", "player_tracking"]})
    assert not (tmp_path / "out").exists()


def test_a_gpu_that_is_not_there_is_said_and_does_not_stop_the_run(
    video: Path, again: Path
) -> None:
    recording = analyse(video, again, {**QUICK, "gpu_enabled": True})
    if not recording.notices:
        pytest.skip("this machine has a GPU")
    assert "CPU" in recording.notices[0]
    assert recording.ran == set()


def test_a_network_of_one_size_runs_without_the_second_look_and_says_so(
    video: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As `export-model` makes it: each enlarged crop would cost as much as the whole picture.

    The command line shows it, a service's worker logs it.
    """
    network = convert(
        models_folder() / "detector.onnx",
        "torchscript",
        tmp_path / "d.torchscript",
        size=(192, 320),
    )
    values = with_option(QUICK, "player_detection", model_name=str(network), image_size=320)
    values["stages"] = ["video_decoding", "player_detection", "export"]
    recording = analyse(video, tmp_path / "out", values)
    assert [text for text in recording.notices if "no second look for the ball" in text]
    assert "detections.parquet" in results(tmp_path / "out")
    given = ProcessingConfiguration.parse({**values, "video_path": str(video)})
    plan_for_cluster(Logged(), given, able=())
    assert [text for text in caplog.messages if "no second look for the ball" in text]


@pytest.mark.slow
@pytest.mark.parametrize("cells_before", [1, 4, 9, 16, 24])
def test_a_killed_run_goes_on_and_gives_the_same_bytes(
    video: Path, undisturbed: Path, tmp_path: Path, cells_before: int
) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(_arguments(video, out), stderr=subprocess.DEVNULL)
    for done in _cells_done(out):
        if done >= cells_before or process.poll() is not None:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL, "the run ended before it could be killed"
    finished = next(_cells_done(out))
    assert finished >= cells_before
    report = json.loads(_command(video, out, "--json").stdout)
    assert report["cells_reused"] >= finished
    assert results(out) == results(undisturbed)


@pytest.mark.slow
def test_a_run_killed_at_once_leaves_a_folder_that_the_next_one_uses(
    video: Path, undisturbed: Path, tmp_path: Path
) -> None:
    process = subprocess.Popen(_arguments(video, tmp_path / "out"), stderr=subprocess.DEVNULL)
    time.sleep(0.7)
    process.kill()
    process.wait()
    _command(video, tmp_path / "out").check_returncode()
    assert results(tmp_path / "out") == results(undisturbed)


@pytest.mark.slow
def test_a_damaged_artifact_is_made_again(video: Path, again: Path) -> None:
    before = results(again)
    artifacts = [
        path
        for path in (again / ".footanalytics").glob("??/*")
        if path.is_file() and path.stat().st_size > 0
    ]
    for path in artifacts:
        path.unlink()
    recording = analyse(video, again)
    pixels = {"video_decoding", "player_detection", "pitch_observation"}
    assert pixels <= recording.stages_that_ran()
    assert recording.frames == 75
    assert results(again) == before


@pytest.mark.slow
def test_an_artifact_whose_bytes_changed_is_made_again(video: Path, again: Path) -> None:
    before = results(again)
    largest = max((again / ".footanalytics").glob("??/*"), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 0xFF
    largest.write_bytes(data)
    assert len(analyse(video, again).ran) >= 1
    assert results(again) == before
    assert analyse(video, again).ran == set()


def test_results_that_a_run_does_not_make_do_not_stay_beside_it(video: Path, again: Path) -> None:
    stages = ["video_decoding", "player_detection", "export"]
    analyse(video, again, {**QUICK, "stages": stages})
    assert "tracks.parquet" not in results(again)
    analyse(video, again)
    assert "tracks.parquet" in results(again)


@pytest.mark.slow
def test_other_segments_in_the_same_folder_give_what_they_give_alone(
    video: Path, again: Path, tmp_path: Path
) -> None:
    other = {**QUICK, "segment_s": 1.5}
    analyse(video, again, other)
    analyse(video, tmp_path / "alone", other)
    assert results(again) == results(tmp_path / "alone")


def test_sound_is_asked_for_without_decoding_again(video: Path, again: Path) -> None:
    with pytest.raises(FootAnalyticsError, match="has no sound"):
        analyse(video, again, with_option(QUICK, "video_decoding", extract_audio=True))


def test_a_second_run_on_the_same_folder_is_refused(video: Path, again: Path) -> None:
    from infrastructure.local_run import RunFolder

    with RunFolder(again, keep=True).locked(), pytest.raises(ResourceError, match="another run"):
        analyse(video, again)


BAD = {
    "missing.mp4": None,
    "empty.mp4": b"",
    "text.mp4": b"this is no video\n" * 50,
    "noise.mp4": bytes(range(256)) * 64,
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_input_is_one_line_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    content = BAD[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = _command(tmp_path / name, tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert name in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "player_detection.nms_threshold=7"], "nms_threshold"),
        (["--set", "player_detection.colour=red"], "unknown option"),
        (["--set", "nonsense"], "expected STAGE.OPTION=VALUE"),
        (["--set", "pitch=3", "--set", "pitch.length_m=100"], "pitch: expected a mapping"),
        (["--set", "stages=[]"], "stages"),
        (["--set", "stages=[export, cooking]"], "unknown stage cooking"),
        (["--set", "player_detection.model_name=no.onnx"], "no file no.onnx"),
        (["--config", "no-such-file.yaml"], "no-such-file.yaml"),
        (["--processes", "0"], "--processes 0"),
    ],
)
def test_a_bad_option_is_one_line_and_leaves_nothing(
    video: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = _command(video, tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_one_line(video: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = _command(video, tmp_path / "file" / "out")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "choose another --out" in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("a small disk can be mounted by root only")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_run_goes_on_where_there_is_room(
    video: Path, undisturbed: Path, small_disk: Path
) -> None:
    done = _command(video, small_disk / "out")
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("footanalytics:")]
    assert "free some space" in done.stderr.splitlines()[-1]
    assert results(small_disk / "out") == {}
    subprocess.run(["mount", "-o", "remount,size=80m", str(small_disk)], check=True)
    _command(video, small_disk / "out").check_returncode()
    assert results(small_disk / "out") == results(undisturbed)


def test_help_answers_without_loading_the_heavy_packages() -> None:
    code = (
        "import sys; from api.command_line import main; main(['--help'])\n"
        "sys.exit(bool({'torch', 'ultralytics', 'cv2', 'openvino'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_the_default_run_loads_neither_torch_nor_ultralytics(video: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from api.command_line import main\n"
        f"code = main(['analyze', {str(video)!r}, '--out', {str(tmp_path / 'out')!r}, "
        "'--set', 'segment_s=1.0', '--processes', '1'])\n"
        "sys.exit(code or bool({'torch', 'ultralytics'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_another_distributions_package_of_our_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "__init__.py").touch()
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
    code += "from api.command_line import main; sys.exit(main(['--help']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the package stages here is not ours" in done.stderr


def test_errors_of_the_product_know_their_exit_codes() -> None:
    assert (FootAnalyticsError.exit_code, PlanError.exit_code) == (1, 2)


def _arguments(video: Path, out: Path, *more: str) -> list[str]:
    settings = ["--set", "segment_s=1.0", "--set", "player_detection.image_size=960"]
    command = [sys.executable, "-m", "api.command_line", "analyze", str(video)]
    return [*command, "--out", str(out), *settings, *more]


def _command(video: Path, out: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        _arguments(video, out, *more), capture_output=True, text=True, check=False
    )


def _cells_done(out: Path) -> Iterator[int]:
    """How many cells the run in `out` has finished, again and again, for five minutes."""
    state = out / ".footanalytics" / "state.sqlite"
    for _ in range(30000):
        try:
            with sqlite3.connect(f"file:{state}?mode=ro", uri=True) as connection:
                query = "SELECT count(*) FROM keys"
                yield int(connection.execute(query).fetchone()[0])
            connection.close()
        except sqlite3.Error:
            yield 0
        time.sleep(0.01)
