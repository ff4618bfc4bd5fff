"""Short simulated matches that several tests analyse, rendered once a session."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from application.ports import Checkpoint
from domain.configuration import ProcessingConfiguration
from domain.grid import END, Cell, Plan
from infrastructure.bootstrap.local import analyze_locally
from simulation import SimulationOptions, simulate, write

QUICK: Mapping[str, Any] = {
    "segment_s": 1.0,
    "stage_configs": {"player_detection": {"image_size": 960}},
}


def render_match(folder: Path, seconds: float = 3.0, seed: int = 950001) -> Path:
    """A 1280x720 match of `seconds` at 25 frames a second; returns the video, truth beside it."""
    write(simulate(SimulationOptions(seed=seed, seconds=seconds)), folder)
    return folder / "match.mp4"


def with_option(values: Mapping[str, Any], stage: str, **options: Any) -> dict[str, Any]:
    """`values` with options of one stage set."""
    configs = dict(values.get("stage_configs", {}))
    configs[stage] = {**configs.get(stage, {}), **options}
    return {**values, "stage_configs": configs}


class Recording:
    """An observer that remembers which cells ran and which were reused."""

    def __init__(self) -> None:
        self.ran: set[Cell] = set()
        self.reused: set[Cell] = set()
        self.frames = 0
        self.notices: list[str] = []
        self.plan: Plan | None = None
        self.checkpoints: dict[Cell, Checkpoint] = {}

    def planned(self, plan: Plan) -> None:
        self.plan = plan

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def frames_seen(self, segment: int, count: int) -> None:  # noqa: ARG002
        self.frames += count

    def cell_completed(self, cell: Cell, checkpoint: Checkpoint, *, reused: bool) -> None:
        self.checkpoints[cell] = checkpoint
        (self.reused if reused else self.ran).add(cell)

    def stages_that_ran(self) -> set[str]:
        return {cell.stage for cell in self.ran}


def cells_with_changed_inputs(before: Recording, after: Recording) -> set[Cell]:
    """The cells of `after` that read something else than in `before`: tables, state or pixels."""
    plan = after.plan
    assert plan is not None

    def changed(needed: Cell, reader: Cell) -> bool:
        first, second = before.checkpoints[needed], after.checkpoints[needed]
        if needed.stage == reader.stage and first.carried != second.carried:
            return True
        stage = plan.by_name[reader.stage]
        read = {*stage.requires, *stage.concludes_with}
        tables = [
            {name: made for name, made in each.tables.items() if name in read}
            for each in (first, second)
        ]
        return tables[0] != tables[1] or first.watermark != second.watermark

    def inputs(cell: Cell) -> set[Cell]:
        required = set(plan.requirements(cell))
        if cell.segment == END:
            makers = {plan.producers[name] for name in plan.by_name[cell.stage].concludes_with}
            required |= {other for other in plan.cells if other.stage in makers} - {cell}
        elif plan.by_name[cell.stage].kind == "source":
            required = set()
        return required

    return {cell for cell in plan.cells if any(changed(needed, cell) for needed in inputs(cell))}


def analyse(video: Path, out: Path, values: Mapping[str, Any] = QUICK) -> Recording:
    """Analyse `video` in this process alone, without any other."""
    recording = Recording()
    configuration = ProcessingConfiguration.parse({**values, "video_path": str(video)})
    analyze_locally(configuration, out, recording, processes=1)
    return recording


def results(out: Path) -> dict[str, bytes]:
    """Every result file of a run but run.json, which alone holds times."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".footanalytics" not in path.parts and path.name != "run.json"
    }
