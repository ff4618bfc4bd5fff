"""What every stage must keep: its declarations, and equal rows however its input is cut."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from application import records
from application.stage import (
    BaseStage,
    FramePass,
    FrameStage,
    GPUStage,
    MatchFacts,
    TimelineStage,
    WholeMatchStage,
)
from domain.configuration import STAGES, ProcessingConfiguration, StageOptions
from domain.tables import PUBLIC_TABLES, SCHEMAS
from infrastructure.catalogue import ENTRY_POINT_GROUP, chosen, load, options_of
from infrastructure.storage.folder import FolderArtifactStore
from tests.matches import analyse, render_match
from tests.timeline_runs import assert_cut_invariant

CLASSES: dict[str, type[BaseStage]] = {name: load(name) for name in STAGES}
TIMELINE = [name for name, kind in CLASSES.items() if issubclass(kind, TimelineStage)]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_declares_what_it_is(name: str) -> None:
    stage = CLASSES[name]
    assert stage.name == name
    assert isinstance(stage.version, int)
    assert stage.version >= 1
    declared = (*stage.requires, *stage.optional, *stage.concludes_with, *stage.optional_at_end)
    assert set(declared) | set(stage.produces) <= set(SCHEMAS)
    assert issubclass(stage, FrameStage | TimelineStage | WholeMatchStage)


def test_every_table_has_one_producer_that_comes_before_its_readers() -> None:
    producers: dict[str, str] = {}
    for name, stage in CLASSES.items():
        assert set(stage.requires) <= set(producers)
        assert set(stage.concludes_with) <= set(producers) | set(stage.produces)
        assert not set(stage.produces) & set(producers), name
        producers |= dict.fromkeys(stage.produces, name)
    assert set(producers) == set(SCHEMAS)
    assert set(PUBLIC_TABLES) <= set(producers)


class OwnDetectionStage(FrameStage[StageOptions]):
    """A detector of another package."""

    name = "own_detection"
    version = 1
    produces = ("detections",)

    def begin(self) -> FramePass:
        raise AssertionError("it is only planned here")


def test_a_stage_of_another_package_may_stand_in_for_one_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has no place in our order: it comes before what reads its table."""
    point = EntryPoint("own_detection", f"{__name__}:OwnDetectionStage", ENTRY_POINT_GROUP)
    monkeypatch.setattr("infrastructure.catalogue.entry_points", lambda group: [point])  # noqa: ARG005
    stages = ["own_detection", *(name for name in STAGES if name != "player_detection")]
    order = list(
        chosen(ProcessingConfiguration.parse({"video_path": ["match.mp4"], "stages": stages}))
    )
    assert sorted(order) == sorted(stages)
    assert order.index("own_detection") < order.index("player_tracking")
    ours = [name for name in order if name != "own_detection"]
    assert ours == [name for name in STAGES if name in ours]


def test_a_stages_options_are_part_of_the_configuration() -> None:
    configuration = ProcessingConfiguration.parse({"video_path": "m.mp4"})
    for stage in CLASSES.values():
        assert isinstance(options_of(stage, configuration), StageOptions)


def test_the_stages_that_run_a_network_say_its_size_and_ship_one() -> None:
    models = Path(__file__).parents[1] / "models"
    for stage in CLASSES.values():
        if issubclass(stage, GPUStage):
            assert (models / stage.shipped_model()).is_file()
            assert (models / stage.shipped_model()).with_suffix(".md").is_file()


@pytest.fixture(scope="module")
def match_tables(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, pa.Table]:
    """Every table, the internal ones too, of a match that was rendered and analysed."""
    out = tmp_path_factory.mktemp("stages")
    recording = analyse(render_match(out, seed=950002), out / "run")
    store = FolderArtifactStore(out / "run" / ".footanalytics")
    made: dict[str, list[pa.Table]] = {}
    for cell in recording.plan.cells if recording.plan else ():
        for name, artifact in recording.checkpoints[cell].tables.items():
            made.setdefault(name, []).append(records.table_from_bytes(store.read(artifact)))
    return {
        name: pa.concat_tables([SCHEMAS[name].empty_table(), *made.get(name, [])])
        for name in SCHEMAS
    }


def _stage(name: str) -> TimelineStage:
    """The stage with its defaults; optional tables are required here, so that all are cut."""
    kind = CLASSES[name]
    configuration = ProcessingConfiguration.parse({"video_path": "m.mp4"})
    stage = kind(options_of(kind, configuration), MatchFacts(1280, 720, 25.0))
    stage.requires = (*kind.requires, *kind.optional)  # type: ignore[misc]
    assert isinstance(stage, TimelineStage)
    return stage


@pytest.mark.parametrize("name", TIMELINE)
@pytest.mark.parametrize("cuts", [1, 4, 60])
def test_any_cutting_gives_equal_final_tables(
    match_tables: Mapping[str, pa.Table], name: str, cuts: int
) -> None:
    assert_cut_invariant(_stage(name), match_tables, seed=cuts, cuts=cuts)


@pytest.mark.parametrize("name", TIMELINE)
def test_one_row_at_a_time_gives_equal_final_tables(
    match_tables: Mapping[str, pa.Table], name: str
) -> None:
    first = {
        table: rows.filter(np.asarray(rows["frame"]) < 8) if "frame" in rows.column_names else rows
        for table, rows in match_tables.items()
    }
    stage = _stage(name)
    rows = max(first[table].num_rows for table in stage.requires)
    assert_cut_invariant(stage, first, seed=1, cuts=3 * rows)
