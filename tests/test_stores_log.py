"""One contract for every state store: the log and its numbers."""

from collections.abc import Callable

from application.state import (
    PipelineRecord,
    StateStore,
)
from domain.grid import Cell
from domain.pipeline import DomainEvent, EventKind, PipelineState
from tests.state_stores import (
    KEY,
    Clock,
    admit,
    completed,
    events,
    stage_started,
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
