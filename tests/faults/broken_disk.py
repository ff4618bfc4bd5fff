"""A folder whose files other processes cannot read while a test says so (see broken_disk.c)."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.faults import cannot_have

SOURCE = Path(__file__).with_name("broken_disk.c")


class BrokenDisk:
    """Gives processes that are started with `environment` read errors (EIO) beneath `folder`.

    `scratch` takes the compiled shim and the switch; `every` n-th call fails, of each process.
    """

    def __init__(self, folder: Path, scratch: Path, every: int = 1) -> None:
        self.folder = folder.resolve()
        self.every = every
        self._switch = scratch.resolve() / "disk_is_broken"
        self._library = scratch.resolve() / "broken_disk.so"
        self._switch.unlink(missing_ok=True)
        compile_shim(SOURCE, self._library)

    @property
    def environment(self) -> Mapping[str, str]:
        """What to add to the environment of the process (which may not set LD_PRELOAD itself)."""
        return {
            "LD_PRELOAD": str(self._library),
            "BROKEN_DISK_PATH": str(self.folder),
            "BROKEN_DISK_SWITCH": str(self._switch),
            "BROKEN_DISK_EVERY": str(self.every),
        }

    def fail(self) -> None:
        self._switch.touch()

    def mend(self) -> None:
        self._switch.unlink(missing_ok=True)

    @contextmanager
    def failing(self) -> Iterator[None]:
        self.fail()
        try:
            yield
        finally:
            self.mend()


def compile_shim(source: Path, library: Path) -> None:
    """Make a library to preload; the test is skipped where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        cannot_have("a C compiler", "sudo apt-get install -y gcc libc6-dev")
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", library, source, "-ldl"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        cannot_have(f"the shim {source.name}", done.stderr.strip().split("\n")[0])
