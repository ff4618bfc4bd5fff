"""The pipelines' state in one SQLite file: the adapter of the port `StateStore` for one machine."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from application.ports import Checkpoint, LogEntry, PipelineRecord
from domain.errors import LeaseError, ResourceError
from domain.grid import Cell
from domain.pipeline import DomainEvent, PipelineState

SCHEMA_VERSION = 1
Execute = Callable[..., sqlite3.Cursor]

_SCHEMA = """
CREATE TABLE pipelines (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, configuration TEXT NOT NULL, plan TEXT NOT NULL,
    attempt INTEGER NOT NULL, error TEXT NOT NULL
) STRICT;
CREATE TABLE checkpoints (key TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT;
CREATE TABLE cells (
    pipeline TEXT NOT NULL, cell TEXT NOT NULL,
    token INTEGER NOT NULL DEFAULT 0, holder TEXT, lease_until REAL, key TEXT,
    PRIMARY KEY (pipeline, cell)
) STRICT, WITHOUT ROWID;
CREATE TABLE log (
    number INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    pipeline_id TEXT NOT NULL, cell TEXT NOT NULL, attempt INTEGER NOT NULL, message TEXT NOT NULL
) STRICT;
"""


class SQLiteStateStore:
    """State in the file at `path`; `clock` gives seconds and is what leases are measured by."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._prepare(path)
        except sqlite3.Error as error:
            raise ResourceError(f"{path}: the state cannot be opened: {error}") from error

    def _prepare(self, path: Path) -> None:
        with self._transaction() as execute:
            version = execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    execute(statement)
                execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise ResourceError(
                    f"{path}: written by another version of footanalytics (state schema {version}, "
                    f"expected {SCHEMA_VERSION}): remove that folder or use that version"
                )

    def save(self, record: PipelineRecord, events: Sequence[DomainEvent]) -> None:
        with self._transaction() as execute:
            execute(
                "INSERT INTO pipelines VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE "
                "SET state=?2, configuration=?3, plan=?4, attempt=?5, error=?6",
                msgspec.structs.astuple(record),
            )
            _append(execute, events)

    def pipeline(self, pipeline_id: str) -> PipelineRecord | None:
        row = self._one("SELECT * FROM pipelines WHERE id=?", pipeline_id)
        return PipelineRecord(*row) if row else None

    def pipelines(self) -> Sequence[PipelineRecord]:
        rows = self._connection.execute("SELECT * FROM pipelines ORDER BY rowid")
        return [PipelineRecord(*row) for row in rows]

    def checkpoint(self, key: str) -> Checkpoint | None:
        row = self._one("SELECT record FROM checkpoints WHERE key=?", key)
        return msgspec.msgpack.decode(row[0], type=Checkpoint) if row else None

    def forget(self, key: str) -> None:
        with self._transaction() as execute:
            execute("DELETE FROM checkpoints WHERE key=?", (key,))

    def lease(self, pipeline_id: str, cell: Cell, holder: str, seconds: float) -> int | None:
        now = self._clock()
        with self._transaction() as execute:
            row = execute(
                "SELECT token, lease_until FROM cells WHERE pipeline=? AND cell=?",
                (pipeline_id, str(cell)),
            ).fetchone()
            if row and row[1] is not None and row[1] > now:
                return None
            token = int(row[0]) + 1 if row else 1
            execute(
                "INSERT INTO cells (pipeline, cell, token, holder, lease_until) "
                "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE "
                "SET token=?3, holder=?4, lease_until=?5",
                (pipeline_id, str(cell), token, holder, now + seconds),
            )
        return token

    def renew(self, pipeline_id: str, cell: Cell, token: int, seconds: float) -> bool:
        return self._change_lease(pipeline_id, cell, token, self._clock() + seconds)

    def give_back(self, pipeline_id: str, cell: Cell, token: int) -> None:
        self._change_lease(pipeline_id, cell, token, None)

    def commit(
        self,
        pipeline_id: str,
        cell: Cell,
        token: int,
        checkpoint: Checkpoint,
        events: Sequence[DomainEvent],
        state: PipelineState,
    ) -> Checkpoint:
        with self._transaction() as execute:
            changed = execute(
                "UPDATE cells SET lease_until=NULL, holder=NULL, key=? "
                "WHERE pipeline=? AND cell=? AND token=? AND lease_until IS NOT NULL",
                (checkpoint.key, pipeline_id, str(cell), token),
            ).rowcount
            if changed != 1:
                raise LeaseError(f"cell {cell}: lease {token} has passed on; the result is refused")
            execute(
                "INSERT OR IGNORE INTO checkpoints VALUES (?, ?)",
                (checkpoint.key, msgspec.msgpack.encode(checkpoint)),
            )
            execute("UPDATE pipelines SET state=? WHERE id=?", (state.value, pipeline_id))
            _append(execute, events)
        return self.checkpoint(checkpoint.key) or checkpoint

    def done(self, pipeline_id: str) -> Mapping[Cell, str]:
        rows = self._connection.execute(
            "SELECT cell, key FROM cells WHERE pipeline=? AND key IS NOT NULL", (pipeline_id,)
        )
        return {Cell.parse(cell): key for cell, key in rows}

    def log(self, after: int, limit: int = 1000) -> Sequence[LogEntry]:
        rows = self._connection.execute(
            "SELECT * FROM log WHERE number > ? ORDER BY number LIMIT ?", (after, limit)
        )
        return [LogEntry(*row) for row in rows]

    def close(self) -> None:
        self._connection.close()

    def _change_lease(self, pipeline_id: str, cell: Cell, token: int, until: float | None) -> bool:
        with self._transaction() as execute:
            changed = execute(
                "UPDATE cells SET lease_until=? "
                "WHERE pipeline=? AND cell=? AND token=? AND lease_until IS NOT NULL",
                (until, pipeline_id, str(cell), token),
            ).rowcount
        return bool(changed == 1)

    def _one(self, query: str, key: str) -> Any:
        return self._connection.execute(query, (key,)).fetchone()

    @contextmanager
    def _transaction(self) -> Iterator[Execute]:
        """All statements or none; a full disk is reported as what it is."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection.execute
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise ResourceError(
                f"the state cannot be written ({error}): free some space and run again, it resumes"
            ) from error
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        """SQLite has rolled back by itself after some errors, a full disk among them."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _append(execute: Execute, events: Sequence[DomainEvent]) -> None:
    """Write the events to the log; one that is there already is the same fact again."""
    for event in events:
        execute(
            "INSERT OR IGNORE INTO log (event_id, kind, pipeline_id, cell, attempt, message) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                event.event_id,
                event.kind.value,
                event.pipeline_id,
                str(event.cell or ""),
                event.attempt,
                event.message,
            ),
        )
