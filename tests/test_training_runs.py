"""How a training run goes on: its schedule, its checkpoint, the frames that it renders first."""

import contextlib
import signal
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from domain.errors import InputError, ResourceError
from training import loop as training_loop
from training.checkpoint import MovingAverage, Progress, Run, fingerprint, recipe_of
from training.detector import DetectorOptions
from training.detector_data import CropOptions, CropSource, LabelledFrame, Pool
from training.loop import Batch, Budget, Losses, Plan, learning_rate, train

OPTIONS = DetectorOptions(Path("data"), Path("out"))


def a_run(progress: Progress, **recipe: int) -> Run:
    """A run of a model with six weights."""
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    return Run(model, MovingAverage(model), optimizer, progress, recipe)


class KilledError(Exception):
    """Stands for a kill between two steps."""


def train_line(folder: Path, steps: int, stop_after: int | None = None) -> torch.Tensor:
    """Fit a line with the recipes' own loop; return the averaged weights of the last step."""
    torch.manual_seed(0)
    model, seen = torch.nn.Linear(1, 1), []
    recipe = {"steps": steps}
    plan = Plan("line", recipe, folder, Budget(steps), 0, True, 1e-2, 0.0, 2, 1, 100, 1.0)

    def draw(rng: np.random.Generator) -> Batch:
        x = torch.from_numpy(rng.normal(size=(4, 1))).float()
        return Batch(x, {"y": 2 * x})

    def losses_of(batch: Batch) -> Losses:
        seen.append(1)
        if stop_after is not None and len(seen) > stop_after:
            raise KilledError
        loss = (model(batch.images) - batch.targets["y"]).square().mean()
        return loss, {"error": float(loss.detach())}

    with contextlib.suppress(KilledError):
        train(model, plan, draw, losses_of, lambda _: "", lambda _: None)
        state = torch.load(folder / "line.pt", weights_only=True)["average"]
        return torch.cat([state["weight"].flatten(), state["bias"]])
    return torch.zeros(2)


def grass() -> LabelledFrame:
    """A frame without anybody."""
    image = np.full((72, 128, 3), (20, 70, 20), np.uint8)
    return LabelledFrame("drawn", image, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))


class TestSchedule:
    def test_rate_warms_up_then_falls_to_a_hundredth(self) -> None:
        # warm-up: step 0 of 10 has 1/10 of the peak; at the end 1 % of the peak is left
        assert learning_rate(1.0, 0.0, 0, 10) == pytest.approx(0.1)
        assert learning_rate(1.0, 0.5, 99, 10) == pytest.approx(0.01 + 0.99 / 2)
        assert learning_rate(1.0, 1.0, 99, 10) == pytest.approx(0.01)

    def test_budget_ends_by_steps_or_minutes(self) -> None:
        assert Budget(100).spent(50, 1e9) == 0.5
        assert Budget(100, minutes=1).spent(50, 45.0) == 0.75
        assert Budget(100, minutes=1).spent(50, 90.0) == 1.0


class TestResuming:
    def test_resuming_restores_weights_and_progress(self, tmp_path: Path) -> None:
        path = tmp_path / "run" / "state.pt"
        first, second = a_run(Progress(7, 3.5)), a_run(Progress())
        first.model(torch.ones(1, 3)).sum().backward()
        first.optimizer.step()
        first.average.update(first.model, 0)
        first.save(path)
        second.restore(path)
        assert second.progress == Progress(7, 3.5)
        assert torch.equal(second.model.weight, first.model.weight)
        assert torch.equal(second.average.model.weight, first.average.model.weight)

    def test_a_run_in_two_parts_ends_where_one_run_does(self, tmp_path: Path) -> None:
        """Killed after three steps of six and resumed: the same weights, bit for bit."""
        whole = train_line(tmp_path / "whole", steps=6)
        train_line(tmp_path / "parts", steps=6, stop_after=3)
        assert torch.equal(whole, train_line(tmp_path / "parts", steps=6))

    def test_a_resumed_run_draws_what_an_unbroken_one_would(self) -> None:
        source = CropSource([Pool(1.0, [grass()])], 1, CropOptions(64, 64))
        whole = training_loop.draws(source.draw, seed=3, first=0)
        batches = [next(whole) for _ in range(3)]
        resumed = next(training_loop.draws(source.draw, seed=3, first=2))
        assert torch.equal(batches[2].images, resumed.images)
        assert not torch.equal(batches[1].images, resumed.images)

    def test_what_fails_while_drawing_is_raised_to_the_trainer(self) -> None:
        source = CropSource([Pool(1.0, [])], 1, CropOptions(64, 64))  # no frame to draw from
        with pytest.raises(InputError, match="no labelled frame"):
            next(training_loop.draws(source.draw, seed=0, first=0))


class TestOtherOptions:
    """A run that began under one recipe is not finished, and signed, under another."""

    def test_a_checkpoint_of_another_recipe_is_refused_and_kept(self, tmp_path: Path) -> None:
        train_line(tmp_path, steps=6, stop_after=3)
        before = (tmp_path / "line_checkpoint.pt").read_bytes()
        with pytest.raises(InputError, match=r"\(steps 6 then, 7 now\).*--out, or --afresh"):
            train_line(tmp_path, steps=7)
        assert (tmp_path / "line_checkpoint.pt").read_bytes() == before

    def test_it_is_known_before_anything_is_loaded_or_rendered(self, tmp_path: Path) -> None:
        options = replace(OPTIONS, out=tmp_path)
        plan = options.plan()
        a_run(Progress(), **dict(plan.recipe)).save(plan.checkpoint)
        replace(options, threads=1, data=tmp_path, score_every=7).plan().prepare()
        for other in ({"steps": 9}, {"minutes": 2.0}, {"seed": 1}, {"simulated_matches": 0}):
            with pytest.raises(InputError, match=f"other options.*{next(iter(other))}"):
                replace(options, **other).plan().prepare()
        replace(options, steps=9, resume=False).plan().prepare()

    def test_a_checkpoint_that_only_knows_its_fingerprint(self, tmp_path: Path) -> None:
        """Such are those of earlier versions: they go on, or are refused without the reason."""
        run = a_run(Progress(2, 1.0), steps=3)
        run.save(tmp_path / "old.pt")
        state = torch.load(tmp_path / "old.pt", weights_only=True)
        assert state.pop("options") == {"steps": 3}
        torch.save(state, tmp_path / "old.pt")
        a_run(Progress(), steps=3).restore(tmp_path / "old.pt")
        with pytest.raises(InputError, match="with other options: give those again"):
            a_run(Progress(), steps=4).restore(tmp_path / "old.pt")

    @pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
    def test_a_file_that_is_no_checkpoint(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "x.pt").write_bytes(content)
        with pytest.raises(InputError, match=r"x\.pt: no checkpoint that can be read"):
            a_run(Progress()).restore(tmp_path / "x.pt")

    @pytest.mark.parametrize("part", ["model", "average", "optimizer", "step"])
    @pytest.mark.parametrize("other", [None, {}])
    def test_a_checkpoint_without_a_part(
        self, tmp_path: Path, part: str, other: dict[str, int] | None
    ) -> None:
        path = tmp_path / "x.pt"
        a_run(Progress(2, 1.0)).save(path)
        state = torch.load(path, weights_only=True)
        del state[part]
        torch.save(state if other is None else {**state, part: other}, path)
        with pytest.raises(InputError, match=r"x\.pt: no checkpoint that can be read[^\n]*$"):
            a_run(Progress()).restore(path)

    def test_a_checkpoint_of_a_network_that_was_another(self, tmp_path: Path) -> None:
        a_run(Progress()).save(tmp_path / "x.pt")
        run = a_run(Progress())
        run.model = torch.nn.Linear(4, 2)
        with pytest.raises(InputError, match=r"x\.pt: no checkpoint that can be read[^\n]*$"):
            run.restore(tmp_path / "x.pt")

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ResourceError, match="cannot be written"):
            a_run(Progress()).save(tmp_path / "file" / "x.pt")
        with pytest.raises(InputError, match="not a folder"):
            replace(OPTIONS, out=tmp_path / "file").plan().prepare()
        with pytest.raises(ResourceError, match="cannot be used"):
            replace(OPTIONS, out=tmp_path / "file" / "out").plan().prepare()

    def test_a_folder_that_cannot_be_looked_at(self, tmp_path: Path) -> None:
        """By names too long: who may do everything is never refused for want of rights."""
        deep = tmp_path.joinpath(*["d" * 200] * 30)
        deep = Path(str(deep)[:4090])  # paths end at 4096, within the checkpoint's name
        deep.mkdir(parents=True)
        for folder in (tmp_path / ("d" * 300), deep):
            with pytest.raises(ResourceError, match=r"cannot be used: File name too long$"):
                replace(OPTIONS, out=folder).plan().prepare()

    def test_the_recipe_is_of_what_changes_the_weights(self, tmp_path: Path) -> None:
        """Of `start` the bytes count, not the name of the file."""
        for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
            (tmp_path / name).write_bytes(content)
        prints = [fingerprint(recipe_of({"steps": 1}, tmp_path / name)) for name in "abc"]
        assert prints[0] == prints[1] != prints[2]
        assert fingerprint(recipe_of({"steps": 1}, None)) not in prints

    def test_fingerprints_are_those_of_earlier_versions(self) -> None:
        """A killed training goes on under the next version."""
        assert fingerprint({"b": None, "a": 2}) == sha256(b'{"a": 2, "b": null}').hexdigest()


RENDERS = """
import multiprocessing, threading, time
from pathlib import Path
from training.simulated import render

def tell():
    while not multiprocessing.active_children():
        time.sleep(0.05)
    print("rendering", flush=True)

threading.Thread(target=tell).start()
render(Path({folder!r}), 2, 1, report=lambda _: None)
"""


@pytest.mark.slow
def test_processes_that_render_end_with_a_killed_training(tmp_path: Path) -> None:
    """They hold its stdout: it ends only when they do. Without their parent they would wait on."""
    script = RENDERS.format(folder=str(tmp_path))
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout is not None
        assert training.stdout.readline() == "rendering\n"
        training.kill()
        training.communicate(timeout=120)
    assert training.returncode == -signal.SIGKILL
