"""The aggregate and its grid: legal transitions, domain events, and the rule that orders cells."""

import random
from pathlib import Path

import pytest

from domain.configuration import STAGES, ProcessingConfiguration
from domain.errors import ConfigurationError, PlanError, TransitionError
from domain.grid import END, Cell, Plan, PlannedStage, Segment
from domain.pipeline import DomainEvent, EventKind, Pipeline, PipelineState


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
def test_any_order_of_completion_reaches_every_job_once(seed: int) -> None:
    plan, chooser = _plan(5), random.Random(seed)  # noqa: S311
    ready, done = {job.number for job in plan.runnable(())}, set()
    while ready:
        job = plan.jobs[chooser.choice(sorted(ready))]
        needed = {plan.job_of[cell] for own in job.cells for cell in plan.requirements(own)}
        assert done >= {other.number for other in needed}
        ready.discard(job.number)
        done.add(job.number)
        for follower in plan.followers(job):
            waits_for = {n for first, count in follower.spans for n in range(first, first + count)}
            if waits_for <= done:
                assert follower.job.number not in done | ready
                ready.add(follower.job.number)
        assert ready == {each.number for each in plan.runnable(done)}
    assert done == {job.number for job in plan.jobs}


def test_a_job_is_one_cell_or_all_that_look_at_a_segments_pixels() -> None:
    see = PlannedStage("see", 1, "source", ("lines",))
    plan = Plan((see, *_plan(2).stages), _plan(2).segments)
    assert [str(job) for job in plan.jobs[:4]] == ["pass/0", "pass/1", "track/0", "track/1"]
    assert plan.jobs[0].cells == (Cell("see", 0), Cell("detect", 0))
    assert [plan.queue_of(job) for job in plan.jobs[:3]] == ["gpu", "gpu", "cpu"]
    assert [cell for job in plan.jobs for cell in job.cells] == list(plan.cells)


def test_an_end_cell_that_waits_for_every_segment_waits_for_one_span() -> None:
    # two passes (jobs 0 and 1) come first, so the END of detect waits for two jobs from 0 on
    plan = _plan(2)
    end = plan.job_of[Cell("detect", END)]
    followers = plan.followers(plan.jobs[0])
    assert {f.spans for f in followers if f.job == end} == {((0, 2),)}


def test_a_plan_that_misses_a_table_is_refused_before_it_runs() -> None:
    with pytest.raises(PlanError, match="track requires boxes"):
        Plan(_plan().stages[1:], _plan().segments)


def test_a_plan_without_frames_is_refused() -> None:
    with pytest.raises(PlanError, match="no frame"):
        Plan(_plan().stages, ())


def test_cells_have_a_text_form() -> None:
    for cell in _plan().cells:
        assert Cell.parse(str(cell)) == cell


def test_a_job_says_which_stages_it_starts_and_ends() -> None:
    plan = _plan()
    pipeline = Pipeline.submit("p", _configuration())
    pipeline.start()
    for job in (plan.jobs[0], plan.job_of[Cell("total", END)]):
        pipeline.job_started(job)
        pipeline.job_completed(job, {cell: f"key of {cell}" for cell in job.cells})
    events = pipeline.pull_events()
    assert [(event.kind, str(event.cell or "")) for event in events] == [
        (EventKind.PIPELINE_SUBMITTED, ""),
        (EventKind.PIPELINE_STARTED, ""),
        (EventKind.STAGE_STARTED, "detect/0"),
        (EventKind.CELL_COMPLETED, "detect/0"),
        (EventKind.STAGE_STARTED, "total/0"),
        (EventKind.CELL_COMPLETED, "total/end"),
        (EventKind.STAGE_COMPLETED, "total/end"),
    ]
    assert len({event.event_id for event in events}) == len(events)
    assert pipeline.pull_events() == ()


def test_a_finished_cell_is_the_same_fact_in_every_attempt_until_its_key_changes() -> None:
    ids = [
        DomainEvent(EventKind.CELL_COMPLETED, "p", Cell("detect", 0), attempt, key=key).event_id
        for attempt, key in ((0, "a"), (1, "a"), (1, "b"))
    ]
    assert ids[0] == ids[1] != ids[2]


def test_event_ids_are_the_same_wherever_the_fact_is_recorded() -> None:
    first, second = Pipeline.submit("p", _configuration()), Pipeline.submit("p", _configuration())
    assert first.pull_events()[0].event_id == second.pull_events()[0].event_id


def test_illegal_transitions_are_refused() -> None:
    pipeline = Pipeline.submit("p", _configuration())
    with pytest.raises(TransitionError, match="queued and cannot become queued"):
        pipeline.retry()
    pipeline.start()
    pipeline.cancel()
    for act in (pipeline.cancel, pipeline.start):
        with pytest.raises(TransitionError, match="cancelled and cannot become"):
            act()


def test_a_failed_pipeline_can_be_queued_again() -> None:
    pipeline = Pipeline.submit("p", _configuration())
    pipeline.start()
    pipeline.fail("corrupt")
    assert pipeline.state is PipelineState.FAILED
    pipeline.retry()
    pipeline.start()
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
