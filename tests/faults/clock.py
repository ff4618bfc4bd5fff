"""A wall clock that a test moves while processes run, by libfaketime."""

from collections.abc import Mapping
from pathlib import Path

from tests.faults import cannot_have
from tests.faults.broken_disk import compile_shim


class MovableClock:
    """The clock of all processes that are started with `environment`; the file holds its offset.

    Only the wall clock moves: intervals (CLOCK_MONOTONIC) and the times of files stay true, as
    when somebody sets a machine's clock.
    """

    def __init__(self, file: Path, offset_s: float = 0.0) -> None:
        self._file = file.resolve()
        self._sleep = self._file.with_name("true_sleep.so")
        compile_shim(Path(__file__).with_name("true_sleep.c"), self._sleep)
        self.set_offset(offset_s)

    def set_offset(self, offset_s: float) -> None:
        """From now on the clock is ahead of the true one by `offset_s` (behind, if negative)."""
        aside = self._file.with_suffix(".new")
        aside.write_text(f"{offset_s:+.6f}\n")
        aside.replace(self._file)

    @property
    def environment(self) -> Mapping[str, str]:
        """What to add to the environment of the process (which may not set LD_PRELOAD itself)."""
        return {
            "LD_PRELOAD": f"{self._sleep}:{_library()}",
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",  # else a move is seen up to 10 s late
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }


def _library() -> Path:
    """The variant for programs with threads."""
    name = "faketime/libfaketimeMT.so.1"
    found = [*Path("/usr/lib").glob(f"*/{name}"), *Path("/usr/local/lib").glob(name)]
    if not found:
        cannot_have("libfaketime", "sudo apt-get install -y libfaketime")
    return found[0]
