"""One contract for every state store: the log and its numbers."""

from collections.abc import Callable

from application.state import STORY_LENGTH, Change, PipelineRecord, StateStore
from domain.grid import Cell
from domain.pipeline import DomainEvent, EventKind, PipelineState
from tests.state_stores import (
    KEY,
    Clock,
    admit,
    completed,
    events,
    stage_started,
    start,
    submit,
    take,
)

pytest_plugins = ["tests.state_fixtures"]


def test_an_entry_has_what_its_event_had(state: StateStore, clock: Clock) -> None:
    event = DomainEvent(EventKind.CELL_COMPLETED, "p", Cell("ball", 3), 2, "text: \u00e9\n", KEY)
    state.submit(PipelineRecord("p", "{}", traceparent="00-trace"), [event])
    (entry,) = state.log(0)
    assert entry.event == event
    assert (entry.sequence, entry.time, entry.traceparent) == (1, clock.now, "00-trace")


def test_numbers_rise_and_each_pipelines_sequence_has_no_gap(state: StateStore) -> None:
    kinds = (EventKind.STAGE_STARTED, EventKind.STAGE_COMPLETED)
    for pipeline_id in ("p", "q"):
        state.submit(PipelineRecord(pipeline_id, "{}"), events(*kinds, pipeline_id=pipeline_id))
    take(state, "cpu")
    cancelled = events(EventKind.PIPELINE_CANCELLED)
    state.move("p", PipelineState.CANCELLED, cancelled, expected=list(PipelineState))
    entries = state.log(0)
    assert [(each.event.pipeline_id, each.sequence) for each in entries] == [
        *(("p", 1), ("p", 2), ("q", 1), ("q", 2), ("p", 3))
    ]
    numbers = [entry.number for entry in entries]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > state.generation << 32
    assert state.log(numbers[1], limit=2) == entries[2:4]


def test_a_stage_starts_once_in_an_attempt(state: StateStore) -> None:
    submit(state)
    state.started("p", [stage_started("ball")])  # not running: nothing
    admit(state)
    state.started("p", [stage_started("ball"), stage_started("pitch")])
    state.started("p", [stage_started("ball"), stage_started("teams")])
    state.started("nobody", [stage_started("ball")])
    stages = [entry.event.cell.stage for entry in state.log(0) if entry.event.cell]
    assert stages == ["ball", "pitch", "teams"]
    state.move("p", PipelineState.QUEUED, (), expected=[PipelineState.RUNNING], attempt=1)
    admit(state)
    state.started("p", [stage_started("ball", 1)])
    assert state.log(0)[-1].event.attempt == 1


def test_trimmed_entries_are_gone_and_readers_never_go_back(state: StateStore) -> None:
    state.submit(PipelineRecord("p", "{}"), completed(0) * 3)
    first, second, third = state.log(0)
    assert state.readers() == {}
    state.read_up_to("relay", second.number)
    state.read_up_to("relay", first.number)
    state.read_up_to("webhooks", 0)
    assert state.readers() == {"relay": second.number, "webhooks": 0}
    state.trim(second.number)
    assert state.log(0) == [third]
    state.trim(third.number)
    assert state.log(0) == []
    state.submit(PipelineRecord("q", "{}"), events(EventKind.STAGE_STARTED, pipeline_id="q"))
    assert state.log(0)[0].number > third.number


def test_lifted_numbers_are_above_and_only_the_unread_are_told_again(state: StateStore) -> None:
    """The broker has seen higher numbers than the store remembers."""
    state.submit(PipelineRecord("p", "{}"), completed(0) + completed(1) + completed(2))
    before = state.log(0)
    state.read_up_to("relay", before[0].number)
    seen = (7 << 32) + 5
    state.lift(seen)
    assert state.generation == 8
    entries = state.log(0)
    assert entries[0] == before[0]
    assert [each.event for each in entries] == [each.event for each in before]
    assert [each.sequence for each in entries] == [1, 2, 3]
    assert entries[1].number > 8 << 32
    state.lift(seen)  # once more, its answer was lost
    assert state.log(0) == entries
    submit(state, "q")
    assert take(state, "cpu").token > entries[-1].number


def test_without_a_reader_all_entries_are_lifted(state: StateStore) -> None:
    state.submit(PipelineRecord("p", "{}"), completed(0))
    number = state.log(0)[0].number
    state.lift(number)
    (entry,) = state.log(0)
    assert entry.number > (state.generation << 32) > number


def test_a_store_in_use_is_not_begun_again(make_state: Callable[..., StateStore]) -> None:
    state = make_state()
    assert state.generation == 1
    state.submit(PipelineRecord("p", "{}"), completed(0))
    entries = state.log(0)
    state.begin(9)
    assert (state.generation, state.log(0)) == (1, entries)


# -- stories: what watchers are told


def test_a_story_counts_the_changes_alone_and_outlives_the_log(
    state: StateStore, clock: Clock
) -> None:
    submitted = events(EventKind.PIPELINE_SUBMITTED)
    state.submit(PipelineRecord("p", "{}", attempt=2), submitted + completed(0) + completed(1))
    clock.now += 5.25
    failed = DomainEvent(EventKind.STAGE_FAILED, "p", Cell("ball", 3), 2, "why: \u00e9", KEY)
    state.move("p", PipelineState.CANCELLED, [failed], expected=list(PipelineState))
    changes = [(entry.sequence, entry.change) for entry in state.log(0)]
    assert changes == [(1, 1), (2, 1), (3, 1), (4, 2)]  # a cell's completion is no change
    state.trim(state.last_number)
    story = [Change(1, 1000.0, submitted[0]), Change(2, 1005.25, failed)]
    assert state.story("p") == story
    assert (state.story("p", 1), state.story("p", 2), state.story("p", 9)) == (story[1:], [], [])
    assert state.story("nobody") == []


def test_a_story_goes_with_its_pipeline(state: StateStore) -> None:
    """Whoever submits the same match again (its idempotency key) begins a new one."""
    for _ in range(2):
        state.submit(PipelineRecord("p", "{}"), events(EventKind.PIPELINE_SUBMITTED))
        assert [change.number for change in state.story("p")] == [1]
        state.remove("p")
        assert state.story("p") == []


def test_how_a_match_ends_by_itself_is_in_its_story(state: StateStore) -> None:
    """The store writes these entries, in an attempt that it knows from the record."""
    start(state, jobs=1, ready=[0])
    state.move("p", PipelineState.QUEUED, (), expected=[PipelineState.RUNNING], attempt=3)
    admit(state, jobs=1, ready=[0])
    state.commit(take(state), {0: KEY}, (), completed(0))
    (end,) = state.story("p")
    assert end.event == DomainEvent(EventKind.PIPELINE_COMPLETED, "p", attempt=3)


def test_only_the_end_of_an_endless_story_is_kept(state: StateStore) -> None:
    extra = 3
    state.submit(PipelineRecord("p", "{}"), events(*[EventKind.STAGE_FAILED] * STORY_LENGTH))
    again = events(*[EventKind.PIPELINE_CANCELLED] * extra)
    state.move("p", PipelineState.CANCELLED, again, expected=list(PipelineState))
    numbers = [change.number for change in state.story("p")]
    assert numbers == list(range(extra + 1, STORY_LENGTH + extra + 1))
    assert [change.number for change in state.story("p", STORY_LENGTH)] == numbers[-extra:]


def test_entries_to_come_have_numbers_above_the_last(state: StateStore) -> None:
    state.submit(PipelineRecord("p", "{}"), events(EventKind.PIPELINE_SUBMITTED))
    last = state.last_number
    assert state.log(last) == []
    submit(state, "q")
    state.move("q", PipelineState.CANCELLED, completed(0), expected=list(PipelineState))
    assert len(state.log(last)) == 1


def test_reported_frames_are_forgotten_with_the_lease(state: StateStore, clock: Clock) -> None:
    start(state, jobs=4, ready=[0, 1, 2, 3])
    committed, failed, expired, cancelled = leases = [take(state) for _ in range(4)]
    assert state.frames_reported("p") == {}
    for lease in leases:
        state.report(lease, 8)
        state.report(lease, 16 + lease.job)  # the latest value wins
    assert state.frames_reported("p") == {0: 16, 1: 17, 2: 18, 3: 19}
    state.commit(committed, {0: KEY}, (), completed(0))
    state.fail(failed, "it", 5.0)
    clock.now += 9
    assert state.renew(cancelled, 10)
    clock.now += 2
    state.expire(3, "lost")
    assert state.frames_reported("p") == {3: 19}
    state.move("p", PipelineState.CANCELLED, (), expected=list(PipelineState))
    for lease in leases:
        state.report(lease, 20)  # too late
    assert state.frames_reported("p") == {}
    assert expired.job == 2


def test_a_job_that_is_taken_again_starts_with_no_frames(state: StateStore) -> None:
    start(state, jobs=1, ready=[0])
    lease = take(state)
    state.report(lease, 8)
    state.give_back(lease)
    take(state)
    assert state.frames_reported("p") == {}
