"""The aggregate and its grid: legal transitions, domain events, and the rule that orders cells."""

import itertools
import random
from pathlib import Path

import pytest

from domain.configuration import STAGES, ProcessingConfiguration
from domain.errors import ConfigurationError, PlanError, TransitionError
from domain.grid import END, Cell, Frontier, Plan, PlannedStage, Segment
from domain.pipeline import EventKind, Pipeline, PipelineState


def _plan(segments: int = 3) -> Plan:
    """pixels -> boxes; boxes -> paths (carries state) -> totals (END only)."""
    return Plan(
        (
            PlannedStage("detect", 1, "source", ("boxes",)),
            PlannedStage("track", 1, "timeline", ("paths",), requires=("boxes",)),
            PlannedStage("total", 1, "whole", ("totals",), concludes_with=("paths",)),
        ),
        tuple(Segment(i, 10 * i, 10 * i + 10, float(i), float(i + 1)) for i in range(segments)),
    )


def _configuration() -> ProcessingConfiguration:
    return ProcessingConfiguration.parse({"video_path": "match.mp4"})


def test_a_grid_has_a_cell_for_each_stage_and_segment_and_an_end_for_each_stage() -> None:
    # detect and track: 3 segments each; END cells of detect, track and total: 3 * 2 + 3 = 9
    cells = _plan().cells
    assert len(cells) == len(set(cells)) == 9
    assert Cell("total", 0) not in cells


def test_a_cell_waits_for_its_segment_and_for_its_own_state() -> None:
    plan = _plan()
    assert plan.requirements(Cell("detect", 2)) == ()
    assert plan.requirements(Cell("track", 0)) == (Cell("detect", 0),)
    assert set(plan.requirements(Cell("track", 2))) == {Cell("detect", 2), Cell("track", 1)}


def test_an_end_cell_waits_for_the_last_segment_and_for_the_ends_before_it() -> None:
    plan = _plan()
    assert set(plan.requirements(Cell("track", END))) == {Cell("track", 2), Cell("detect", END)}
    assert plan.requirements(Cell("total", END)) == (Cell("track", END),)
    # a source stage's segments run in any order, so its END waits for all of them
    assert len(plan.requirements(Cell("detect", END))) == 3


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_completion_reaches_every_cell_once(seed: int) -> None:
    plan, chooser = _plan(5), random.Random(seed)  # noqa: S311
    frontier, done = Frontier(plan), set()
    while frontier.ready:
        cell = chooser.choice(sorted(frontier.ready))
        assert done.issuperset(plan.requirements(cell))
        frontier.complete(cell)
        assert cell not in done
        done.add(cell)
    assert done == set(plan.cells)


def test_a_frontier_starts_behind_what_is_done() -> None:
    frontier = Frontier(_plan(), {Cell("detect", 0), Cell("track", 0), Cell("detect", 1)})
    assert frontier.in_order() == [Cell("track", 1), Cell("detect", 2)]


def test_a_plan_that_misses_a_table_is_refused_before_it_runs() -> None:
    with pytest.raises(PlanError, match="track requires boxes"):
        Plan(_plan().stages[1:], _plan().segments)


def test_a_plan_without_frames_is_refused() -> None:
    with pytest.raises(PlanError, match="no frame"):
        Plan(_plan().stages, ())


def test_cells_have_a_text_form() -> None:
    for cell in _plan().cells:
        assert Cell.parse(str(cell)) == cell


def test_a_pipeline_runs_to_its_end_and_records_each_fact_once() -> None:
    pipeline = Pipeline.submit("p", _configuration())
    pipeline.admit(_plan())
    for cell in pipeline.plan.cells if pipeline.plan else ():
        pipeline.cell_started(cell)
        pipeline.cell_completed(cell)
        pipeline.cell_completed(cell)  # a repeat says nothing new
    events = pipeline.pull_events()
    kinds = [event.kind for event in events]
    assert pipeline.state is PipelineState.COMPLETED
    assert kinds.count(EventKind.STAGE_STARTED) == kinds.count(EventKind.STAGE_COMPLETED) == 3
    assert kinds.count(EventKind.CELL_COMPLETED) == 9
    assert kinds[0] is EventKind.PIPELINE_SUBMITTED
    assert kinds[-1] is EventKind.PIPELINE_COMPLETED
    assert len({event.event_id for event in events}) == len(events)
    assert pipeline.pull_events() == ()


def test_event_ids_are_the_same_wherever_the_fact_is_recorded() -> None:
    first, second = Pipeline.submit("p", _configuration()), Pipeline.submit("p", _configuration())
    assert first.pull_events()[0].event_id == second.pull_events()[0].event_id


def test_illegal_transitions_are_refused() -> None:
    pipeline = Pipeline.submit("p", _configuration())
    with pytest.raises(TransitionError, match="queued, not running"):
        pipeline.cell_started(Cell("detect", 0))
    pipeline.admit(_plan())
    pipeline.cancel()
    for act in (pipeline.cancel, lambda: pipeline.admit(_plan())):
        with pytest.raises(TransitionError, match="cancelled and cannot become"):
            act()


def test_a_failed_pipeline_can_be_queued_again() -> None:
    pipeline = Pipeline.submit("p", _configuration())
    pipeline.admit(_plan())
    pipeline.fail(Cell("detect", 1), "corrupt")
    assert (pipeline.state, pipeline.error) == (PipelineState.FAILED, "corrupt")
    pipeline.retry()
    pipeline.admit(_plan())
    started = [e for e in pipeline.pull_events() if e.kind is EventKind.PIPELINE_STARTED]
    assert len({event.event_id for event in started}) == 2  # another attempt is another fact


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_version": "v9"}, r"model_version: .*'v1'.*'v9'"),
        ({"batch_size": 0}, r"batch_size: .*greater than or equal to 1 .*0"),
        ({"bach_size": 4}, r"bach_size: unknown option"),
        (
            {"stage_configs": {"player_detection": {"nms_threshold": 1.5}}},
            r"player_detection\.nms_threshold: .*less than or equal to 1 .*1\.5",
        ),
        (
            {"stage_configs": {"ball_tracking": {"tracking_method": "magic"}}},
            r"tracking_method: .*'kalman' or 'particle'.*'magic'",
        ),
        (
            {"stage_configs": {"ball_tracking": {"min_ball_radius": 80}}},
            r"min_ball_radius: legal is below max_ball_radius",
        ),
    ],
)
def test_a_bad_option_is_named_with_its_value_and_what_is_legal(
    values: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ProcessingConfiguration.parse({"video_path": "match.mp4", **values})


def test_options_that_only_change_the_speed_are_in_no_key() -> None:
    small, large = (
        ProcessingConfiguration.parse(
            {"video_path": "m.mp4", "stage_configs": {"player_detection": {"batch_size": size}}}
        ).stage_configs.player_detection.result_changing()
        for size in (1, 32)
    )
    assert small == large
    assert "nms_threshold" in small


def test_configurations_are_frozen_and_name_every_stage() -> None:
    configuration = _configuration()
    assert configuration.stages == STAGES
    assert set(type(configuration.stage_configs).model_fields) == set(STAGES)
    with pytest.raises(ValueError, match="frozen"):
        configuration.batch_size = 3  # type: ignore[misc]


def test_every_pair_of_neighbouring_cells_streams_in_the_order_of_time() -> None:
    numbers = [cell.segment for cell in _plan().cells if cell.segment != END]
    assert all(a <= b for a, b in itertools.pairwise(numbers))


def test_the_list_of_options_is_current() -> None:
    from docs.options import page

    written = (Path(__file__).parents[1] / "docs" / "options.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m docs.options"


def test_the_example_configuration_is_legal() -> None:
    import yaml

    text = (Path(__file__).parents[1] / "docs" / "options.md").read_text(encoding="utf-8")
    values = yaml.safe_load(text.split("```yaml")[1].split("```")[0])
    configuration = ProcessingConfiguration.parse({"video_path": "m.mp4", **values})
    assert len(configuration.stage_configs.pitch_calibration.fixed_points) == 4
