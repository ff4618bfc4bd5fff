"""The SQLite file that holds the state: opened, brought to its schema, changed in transactions."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from domain.errors import ResourceError
from infrastructure.state.sqlite_steps import Transaction

SCHEMA_VERSION = 3


class StateFile:
    """One connection for all threads of this process, one transaction at a time."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(
                path, isolation_level=None, timeout=30, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
        except sqlite3.Error as error:
            raise ResourceError(f"{path}: the state cannot be opened: {error}") from error
        with self.transaction() as within:
            self._prepare(within, path)

    def _prepare(self, within: Transaction, path: Path) -> None:
        version = within.number("PRAGMA user_version")
        if version == 0:
            schema = files("infrastructure.state").joinpath("schema.sql").read_text()
            for statement in filter(str.strip, schema.split(";")):
                within.execute(statement)
            within.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise ResourceError(
                f"{path}: written by another version of footanalytics (state schema {version}, "
                f"expected {SCHEMA_VERSION}): remove that folder or use that version"
            )

    def rows(self, query: str, *values: object) -> list[Any]:
        with self.transaction() as within:
            return within.execute(query, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All statements or none; a full disk is reported as what it is."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield Transaction(self._connection.execute, self._clock())
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise ResourceError(
                    f"the state cannot be written ({error}): free some space and run again, "
                    "it resumes"
                ) from error
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        """SQLite has rolled back by itself after some errors, a full disk among them."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        with self._lock:
            self._connection.close()
