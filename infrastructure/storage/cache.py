"""Copies of remote artifacts on the local disk: the least recently used go first."""

import contextlib
import os
import time
from contextlib import AbstractContextManager
from pathlib import Path

from application.ports import Artifact
from infrastructure.storage.folder import FolderArtifactStore

_KEEP_S = 900.0
_ABANDONED_S = 86400.0


class LocalCache:
    """A folder of artifacts that keeps near `size_bytes`; processes of one machine may share it.

    What was used in the last `keep_s` seconds stays even where that is too much: somebody may be
    about to open it.
    """

    def __init__(self, root: Path, size_bytes: int, keep_s: float = _KEEP_S) -> None:
        self._folder = FolderArtifactStore(root)
        self._size_bytes = size_bytes
        self._keep_s = keep_s
        self._added_bytes = size_bytes  # as good as full: the first addition looks what is there

    def put(self, data: bytes) -> Artifact:
        return self._added(self._folder.put(data))

    def put_file(self, path: Path) -> Artifact:
        return self._added(self._folder.put_file(path))

    def accept(self, path: Path, expected: Artifact) -> bool:
        """Take over a file if it has the promised bytes."""
        found = self._folder.put_file(path)
        if found != expected:
            self._folder.remove(found)
            return False
        self._added(found)
        return True

    def use(self, artifact: Artifact) -> Path | None:
        """The cached file, which counts as used now; None where there is none."""
        path = self.path(artifact)
        with contextlib.suppress(OSError):
            os.utime(path)
            if path.stat().st_size == artifact.size:
                return path
        return None

    def path(self, artifact: Artifact) -> Path:
        return self._folder.local_path(artifact)

    def read(self, artifact: Artifact) -> memoryview:
        return self._folder.read(artifact)

    def remove(self, artifact: Artifact) -> None:
        self._folder.remove(artifact)

    def workspace(self) -> AbstractContextManager[Path]:
        return self._folder.workspace()

    def clear_temporary(self, older_than_s: float) -> None:
        self._folder.clear_temporary(older_than_s)

    def _added(self, artifact: Artifact) -> Artifact:
        self._added_bytes += artifact.size
        if self._added_bytes > self._size_bytes // 16:
            self._added_bytes = 0
            self._trim()
            self._folder.clear_temporary(_ABANDONED_S)
        return artifact

    def _trim(self) -> None:
        cached = sorted(self._folder.artifacts(), key=lambda each: each[1])
        excess = sum(artifact.size for artifact, _ in cached) - self._size_bytes
        for artifact, used_at in cached:
            if excess <= 0 or time.time() - used_at < self._keep_s:
                return
            self._folder.remove(artifact)
            excess -= artifact.size
