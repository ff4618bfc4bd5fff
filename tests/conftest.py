"""Fixtures that many tests share."""

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real footage; the test is skipped only where there is none."""
    folder = Path(os.environ.get("FOOTANALYTICS_REAL_DATA", _BESIDE))
    if not folder.is_dir():
        pytest.skip(f"no real footage at {folder}: set FOOTANALYTICS_REAL_DATA")
    return folder
