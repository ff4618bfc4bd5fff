"""Faults for tests: cut networks, broken and full disks, clocks that move."""

import os
from collections.abc import Mapping
from typing import NoReturn

import pytest

NEEDS = "needs "


def cannot_have(what: str, reason: object) -> NoReturn:
    """Skips the test that needs `what`; fails it where everything must be had (.ci/run)."""
    text = f"{NEEDS}{what}, which could not be had: {reason}"
    if os.environ.get("FOOTANALYTICS_REQUIRE_SERVERS") == "1" or os.environ.get("CI") == "true":
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


def together(*environments: Mapping[str, str]) -> dict[str, str]:
    """One environment with all of these, and with every library that one of them preloads."""
    libraries = [each["LD_PRELOAD"] for each in environments if "LD_PRELOAD" in each]
    joined = {name: value for each in environments for name, value in each.items()}
    return {**joined, **({"LD_PRELOAD": ":".join(libraries)} if libraries else {})}
