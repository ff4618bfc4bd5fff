"""Fixtures of the contract for state stores; a test module names this one in `pytest_plugins`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from application.state import StateStore
from infrastructure.state.redis import RedisStateStore
from infrastructure.state.sqlite import SQLiteStateStore
from tests.state_stores import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "redis"])
def make_state(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> Iterator[Callable[..., StateStore]]:
    """Makes an empty store; takes the caps."""
    with ExitStack() as until:

        def make(**caps: int) -> StateStore:
            store: StateStore
            if request.param == "sqlite":
                store = SQLiteStateStore(tmp_path / "state.sqlite", clock, **caps)
            else:
                url = request.getfixturevalue("redis_url")
                store = RedisStateStore(url, "test:", clock, **caps)
                store.begin(1)
            until.callback(store.close)
            return store

        yield make


@pytest.fixture
def state(make_state: Callable[..., StateStore]) -> StateStore:
    return make_state()
