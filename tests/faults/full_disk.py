"""A small disk of its own, and a way to fill one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults import cannot_have

MOST_TO_FILL = 1 << 30


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """`folder` becomes an empty disk of `size_bytes` (a tmpfs, which takes root)."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        cannot_have("a small disk", "only root may mount one")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        cannot_have("a small disk", done.stderr.strip().split("\n")[0])
    try:
        yield folder
    finally:  # lazily: a process which dies late may still hold a file there
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Writes a file until no byte more fits on the disk, and returns it: delete it to mend."""
    if shutil.disk_usage(folder).free > MOST_TO_FILL:
        raise ValueError(f"{folder} has more than 1 GiB free: fill a small_disk, not the machine's")
    file = folder / "filler"
    with file.open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            _write_until_full(filler.fileno(), bytes(size))
    return file


def _write_until_full(descriptor: int, block: bytes) -> None:
    try:
        while True:
            os.write(descriptor, block)
    except OSError:
        return
