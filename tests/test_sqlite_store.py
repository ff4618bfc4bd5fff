"""What the SQLite state store does beyond the contract: its file."""

import sqlite3
from pathlib import Path

import pytest

from domain.errors import ResourceError
from domain.pipeline import PipelineState
from infrastructure.state.sqlite import SQLiteStateStore
from tests.state_stores import KEY, start, take


def test_state_outlives_its_process(tmp_path: Path) -> None:
    first = SQLiteStateStore(tmp_path / "s")
    start(first, jobs=1, ready=[0])
    lease = take(first)
    first.close()
    second = SQLiteStateStore(tmp_path / "s")
    assert second.commit(lease, {0: KEY}, (), ()).state == PipelineState.COMPLETED
    second.close()


def test_another_versions_state_is_refused_by_name(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s") as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(ResourceError, match=r"state schema 99, expected 3"):
        SQLiteStateStore(tmp_path / "s")
