"""Where real material lies: one rule for the commands that read it."""

import os
from pathlib import Path

from domain.errors import InputError

_BESIDE = Path("../shared/data")
DEFAULT = f"default: FOOTANALYTICS_REAL_DATA, or {_BESIDE}"


def real_data(given: Path | None) -> Path:
    """The folder that `--data` gives, else FOOTANALYTICS_REAL_DATA, else the one beside us.

    Whether the last two are there, and what to do without, is for the caller.

    Raises:
        InputError: `given` is no folder.
    """
    if given is not None and not given.is_dir():
        raise InputError(f"--data {given}: there is no such folder")
    return given or Path(os.environ.get("FOOTANALYTICS_REAL_DATA") or _BESIDE)
