"""Runs a timeline stage on tables, whole or cut at random places, as the engine would."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from application import timeline
from application.stage import StageResult, TimelineStage

STATE_LIMIT_BYTES = 1_000_000


class FinalTables:
    """The final tables of a match, each in parts; a table that is not there is not made."""

    def __init__(self, parts: Mapping[str, list[pa.Table]]) -> None:
        self._parts = parts

    def table(self, name: str) -> pa.Table:
        return pa.concat_tables(self._parts[name])

    def parts(self, name: str) -> Iterator[pa.Table]:
        yield from self._parts[name]

    def has(self, name: str) -> bool:
        return name in self._parts


def run(
    stage: TimelineStage,
    tables: Mapping[str, pa.Table],
    rng: np.random.Generator | None = None,
    cuts: int = 0,
) -> dict[str, pa.Table]:
    """All tables that the stage leaves, those of its END cell included.

    `tables` are those that its cells read and whatever the END cell reads. With `rng` the former
    come in pieces cut at random rows, even in the middle of a frame, each table at its own.
    """
    read = [*stage.requires, *(name for name in stage.optional if name in tables)]
    pieces = {name: _pieces(tables[name], rng, cuts if rng is not None else 0) for name in read}
    carried = timeline.begin(stage)
    made: dict[str, list[pa.Table]] = {}
    for number in range(cuts + 1):
        final = number == cuts
        arrived = {name: of_table[number] for name, of_table in pieces.items()}
        result, carried = timeline.step(stage, carried, arrived, final=final)
        assert len(carried.state) < STATE_LIMIT_BYTES
        _check_watermarks(result, made)
        for name, table in result.tables.items():
            made.setdefault(name, []).append(table)
    whole = {name: [table] for name, table in tables.items() if name not in pieces}
    cut = {name: [delivery.rows for delivery in pieces[name]] for name in pieces}
    end = stage.conclude(FinalTables({**whole, **cut, **made}), result.state)
    return {name: pa.concat_tables(parts).combine_chunks() for name, parts in made.items()} | dict(
        end.tables
    )


def assert_cut_invariant(
    stage: TimelineStage, tables: Mapping[str, pa.Table], seed: int, cuts: int = 7
) -> None:
    """Cutting the input at random places changes no row of any final table."""
    whole = run(stage, tables)
    cut = run(stage, tables, np.random.default_rng(seed), cuts)
    for name, table in whole.items():
        assert cut[name].equals(table), name


def _pieces(table: pa.Table, rng: np.random.Generator | None, cuts: int) -> list[timeline.Delivery]:
    count = table.num_rows
    borders = [] if rng is None else sorted(rng.integers(0, count + 1, cuts).tolist())
    edges = [0, *borders, count]
    frames = table["frame"].to_pylist()
    return [
        timeline.Delivery(
            table.slice(start, end - start), frames[end] if end < count else timeline.AT_END
        )
        for start, end in zip(edges[:-1], edges[1:], strict=True)
    ]


def _check_watermarks(result: StageResult, made: Mapping[str, list[pa.Table]]) -> None:
    """Rows come in the order of frames, before the watermark, and never for a frame again."""
    for name, table in result.tables.items():
        frames = table["frame"].to_numpy()
        before = [part["frame"][-1].as_py() for part in made.get(name, []) if part.num_rows]
        assert (np.diff(frames) >= 0).all()
        if len(frames):
            assert frames[-1] < result.watermark
            assert not before or frames[0] > before[-1]
