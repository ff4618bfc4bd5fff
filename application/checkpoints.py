"""Checkpoints as records on storage, by key: the first one of a key counts."""

import time
from collections.abc import Iterator

import msgspec

from application import records
from application.ports import ArtifactStore, Checkpoint

_FOLDER = "checkpoints"
_RENEWED_S = 3600.0


class Checkpoints:
    """What finished cells left, in every run that shares the artifact store."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts

    def find(self, key: str) -> Checkpoint | None:
        """The checkpoint of `key`; None where there is none that can be read."""
        data = self._artifacts.read_record(_name(key))
        try:
            return records.decode(data, Checkpoint) if data else None
        except msgspec.DecodeError:
            return None

    def intact(self, key: str) -> Checkpoint | None:
        """The same, if all that it promises is still there; one that is not is forgotten.

        Who takes it makes it young again, so that no collector does.
        """
        checkpoint = self.find(key)
        if checkpoint is None:
            return None
        if not all(self._artifacts.renew(each) for each in checkpoint.artifacts()):
            self.forget(key)
            return None
        if checkpoint.made_at < time.time() - _RENEWED_S:
            young = msgspec.structs.replace(checkpoint, made_at=time.time())
            self._artifacts.put_record(_name(key), records.encode(young))
        return checkpoint

    def keep(self, checkpoint: Checkpoint) -> Checkpoint:
        """Keep the checkpoint unless there is one of its key, and return the one that counts."""
        data = self._artifacts.put_first(_name(checkpoint.key), records.encode(checkpoint))
        return records.decode(data, Checkpoint)

    def keys(self) -> Iterator[str]:
        """The keys of all checkpoints."""
        return (name.rpartition("/")[2] for name in self._artifacts.records(_FOLDER))

    def forget(self, key: str) -> None:
        """Drop the checkpoint, so that the next one of the key counts."""
        self._artifacts.remove_record(_name(key))


def _name(key: str) -> str:
    return f"{_FOLDER}/{key[:2]}/{key}"
