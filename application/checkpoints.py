"""Checkpoints as records on storage, by key: the first one of a key counts."""

from collections.abc import Iterator

import msgspec

from application import records
from application.ports import ArtifactStore, Checkpoint

_FOLDER = "checkpoints"


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
        """The same, if all that it promises is still there; one that is not is forgotten."""
        checkpoint = self.find(key)
        if checkpoint and all(self._artifacts.holds(each) for each in checkpoint.artifacts()):
            return checkpoint
        self.forget(key)
        return None

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
