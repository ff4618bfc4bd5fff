"""`footanalytics train` as somebody uses it for the first time: what is wrong is said in a line."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from api.command_line import main
from domain.errors import InputError
from training import detector_data
from training.loop import training_images
from training.pitch_data import load_training_frames

NOBODY, A_PLAYER = "", "2 0.5 0.5 0.1 0.2"


def add_frame(data: Path, name: str, label: str | None, kind: str = "players") -> Path:
    """A small green picture in `data`, and its label file unless that is None."""
    image, labels = data / kind / "images" / name, data / kind / "labels"
    for folder in (image.parent, labels):
        folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(image), np.full((90, 160, 3), 80, np.uint8))
    if label is not None:
        (labels / f"{image.stem}.txt").write_text(label)
    return image


class TestFramesOfOnesOwn:
    """A club trains on its own frames: what is wrong with them is said in a line."""

    @pytest.mark.parametrize(
        ("label", "told"),
        [
            (None, "no labels that can be read"),
            ("0 0.5 0.5 0.1", "line 1: expected 5 numbers, got 4"),
            ("7 0.5 0.5 0.1 0.1", "expected classes 0 ball, 1 goalkeeper, 2 player, 3 referee"),
            ("player 0.5 0.5 0.1 0.1", "no labels that can be read"),
        ],
    )
    def test_labels_that_are_none(self, tmp_path: Path, label: str | None, told: str) -> None:
        frame = add_frame(tmp_path, "club_1.jpg", label)
        with pytest.raises(InputError, match=told):
            detector_data.load_training_frames([frame])

    def test_the_line_that_is_wrong_is_named(self, tmp_path: Path) -> None:
        """Blank lines count, as an editor counts them; boxes in pixels are not taken for others."""
        frame = add_frame(tmp_path, "club_1.jpg", f"{A_PLAYER}\n\n2 640 360 40 90\n")
        with pytest.raises(InputError, match=r"line 3: expected a box in fractions"):
            detector_data.load_training_frames([frame])

    def test_labels_of_the_pitch_need_all_points(self, tmp_path: Path) -> None:
        frame = add_frame(tmp_path, "club_1.jpg", A_PLAYER, "pitch")
        with pytest.raises(InputError, match="line 1: expected 101 numbers, got 5"):
            load_training_frames([frame])

    def test_an_empty_label_is_a_frame_without_anybody(self, tmp_path: Path) -> None:
        frame = add_frame(tmp_path, "club_1.jpg", NOBODY)
        (loaded,) = detector_data.load_training_frames([frame])
        assert loaded.boxes.shape == (0, 4)

    def test_a_picture_that_is_none(self, tmp_path: Path) -> None:
        frame = add_frame(tmp_path, "club_1.jpg", NOBODY)
        frame.write_bytes(b"no picture")
        with pytest.raises(InputError, match="not a picture"):
            detector_data.load_training_frames([frame])

    def test_pictures_of_all_usual_kinds_are_found(self, tmp_path: Path) -> None:
        for name in ("a_1.JPG", "b_1.jpeg", "c_1.png"):
            add_frame(tmp_path, name, A_PLAYER)
        found = training_images(tmp_path / "players")
        assert [image.name for image in found] == ["a_1.JPG", "b_1.jpeg", "c_1.png"]
        assert len(detector_data.load_training_frames(found)) == 3

    def test_a_label_without_its_picture(self, tmp_path: Path) -> None:
        """Label editors write classes.txt beside the labels: that is none."""
        labels = add_frame(tmp_path, "club_1.jpg", A_PLAYER).parent.parent / "labels"
        (labels / "classes.txt").write_text("ball")
        assert len(training_images(tmp_path / "players")) == 1
        (labels / "club_2.txt").write_text(A_PLAYER)
        with pytest.raises(InputError, match=r"club_2\.txt: no picture of that name"):
            training_images(tmp_path / "players")


class TestTheCommand:
    """It refuses what cannot work before it renders 260 matches, and leaves nothing behind."""

    @pytest.mark.parametrize(
        ("network", "start", "told"),
        [
            ("detector", "pitch", "pitch.onnx: another network than the one to train"),
            ("pitch", "detector", "detector.onnx: another network than the one to train"),
            ("pitch", "text.onnx", "text.onnx: not an ONNX network"),
            ("detector", None, "yolov8n_coco_fused.npz: not there; give it, or --start"),
        ],
    )
    def test_starts_that_are_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        network: str, start: str | None, told: str,
    ) -> None:  # fmt: skip
        monkeypatch.chdir(tmp_path)
        (tmp_path / "text.onnx").write_text("no network")
        for kind in ("players", "pitch"):
            add_frame(tmp_path, "club_1.jpg", NOBODY, kind)
        given = [] if start is None else ["--start", start]
        assert main(["train", network, "--data", ".", "--out", "out", *given]) == 2
        assert told in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_weights_that_are_none(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        add_frame(tmp_path, "club_1.jpg", NOBODY)
        weights = tmp_path / "weights" / "yolov8n_coco_fused.npz"
        weights.parent.mkdir()
        weights.write_text("no weights")
        where = ["--data", str(tmp_path), "--out", str(tmp_path / "out")]
        assert main(["train", "detector", *where]) == 2
        assert "no weights that can be read" in capsys.readouterr().err

    @pytest.mark.parametrize(("network", "folder"), [("detector", "players"), ("pitch", "pitch")])
    def test_no_frame_of_ones_own(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], network: str, folder: str
    ) -> None:
        """Simulated frames alone would make a worse network than the shipped one, unsaid."""
        (tmp_path / folder / "images").mkdir(parents=True)
        where = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--start", network]
        assert main(["train", network, *where]) == 2
        assert f"{folder}: no frame to train on" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_a_folder_that_is_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Given, named by the environment, or neither: as for `evaluate card`."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("FOOTANALYTICS_REAL_DATA", raising=False)
        train = ["train", "detector", "--out", "out"]
        assert main([*train, "--data", "gone"]) == 2
        assert "--data gone: there is no such folder" in capsys.readouterr().err
        assert main(train) == 2
        assert "no training data, ../shared/data is no folder" in capsys.readouterr().err
        monkeypatch.setenv("FOOTANALYTICS_REAL_DATA", str(tmp_path / "named"))
        assert main(train) == 2
        assert f"no training data, {tmp_path / 'named'} is no folder" in capsys.readouterr().err

    @pytest.mark.slow
    def test_other_options_over_a_finished_run(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The guide's trial of two steps, then more in the same folder: refused, nothing lost."""
        add_frame(tmp_path, "club_1.jpg", A_PLAYER)
        out = tmp_path / "mine"
        train = ["train", "detector", "--data", str(tmp_path), "--out", str(out)]
        train += ["--start", "detector", "--simulated", "0", "--threads", "1"]
        assert main([*train, "--steps", "1"]) == 0
        first = (out / "detector.onnx").read_bytes()
        assert main([*train, "--steps", "2"]) == 2
        assert "(steps 1 then, 2 now)" in capsys.readouterr().err
        assert (out / "detector.onnx").read_bytes() == first
        assert main([*train, "--steps", "1"]) == 0
        assert "resumed at step 1" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            (["--steps", "0"], "--steps 0: expected 1 to 10,000,000"),
            (["--minutes", "-1"], "--minutes -1.0: expected 0.1 to 525,600"),
            (["--threads", "0"], "--threads 0: expected 1 to 1,024"),
            (["--simulated", "-3"], "--simulated -3: expected 0 to 100,000"),
            (["--minutes", "nan"], "--minutes nan: expected 0.1 to 525,600"),
            (["--seed", "-1"], "--seed -1: expected 0 to 4,294,967,295"),
            (["--simulated", "100001"], "--simulated 100001: expected 0 to 100,000"),
            (["--start", "nowhere.onnx"], "--start nowhere.onnx: no such file"),
        ],
    )
    def test_numbers_and_files_that_are_none(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], told: str
    ) -> None:
        where = ["--data", str(tmp_path), "--out", str(tmp_path / "out")]
        assert main(["train", "detector", *where, *given]) == 2
        assert told in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
