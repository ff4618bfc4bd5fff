"""Artifacts in a folder: written beside, flushed to the disk, then renamed to their hash."""

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from application.ports import Artifact
from domain.errors import ArtifactError, ResourceError

_BLOCK = 1 << 20


class FolderArtifactStore:
    """The adapter of the port `ArtifactStore` for one machine, or a shared network folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._temporary = root / "tmp"
        with as_resource_errors(root):
            self._temporary.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes) -> Artifact:
        artifact = Artifact(hashlib.sha256(data).hexdigest(), len(data))
        if not self.holds(artifact):
            self._write(self._path(artifact), data)
        return artifact

    def put_file(self, path: Path) -> Artifact:
        with as_resource_errors(path):
            artifact = Artifact(_file_sha256(path), path.stat().st_size)
            if self.holds(artifact):
                path.unlink()
            else:
                _flush(path)
                _rename(path, self._path(artifact))
        return artifact

    def read(self, artifact: Artifact) -> memoryview:
        path = self._path(artifact)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ArtifactError(f"{path}: {error.strerror}: run again, it is made anew") from error
        if hashlib.sha256(data).hexdigest() != artifact.sha256:
            raise ArtifactError(f"{path}: its bytes were changed: run again, it is made anew")
        return memoryview(data)

    def local_path(self, artifact: Artifact) -> Path:
        return self._path(artifact)

    def holds(self, artifact: Artifact) -> bool:
        path = self._path(artifact)
        try:
            return path.stat().st_size == artifact.size and _file_sha256(path) == artifact.sha256
        except OSError:
            return False

    def put_record(self, name: str, data: bytes) -> None:
        self._write(self.root / "records" / name, data)

    def read_record(self, name: str) -> bytes | None:
        with contextlib.suppress(FileNotFoundError):
            return (self.root / "records" / name).read_bytes()
        return None

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Path]:
        with as_resource_errors(self._temporary):
            folder = Path(tempfile.mkdtemp(dir=self._temporary))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def clear_temporary(self) -> None:
        """Remove what a killed process left; only while no other process uses the store."""
        shutil.rmtree(self._temporary, ignore_errors=True)
        with as_resource_errors(self._temporary):
            self._temporary.mkdir(parents=True, exist_ok=True)

    def _path(self, artifact: Artifact) -> Path:
        return self.root / artifact.sha256[:2] / artifact.sha256

    def _write(self, target: Path, data: bytes) -> None:
        with (
            as_resource_errors(target),
            tempfile.NamedTemporaryFile(dir=self._temporary, delete=False) as file,
        ):
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                _rename(Path(file.name), target)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise


def publish(source: Path, target: Path) -> None:
    """Copy a file to where the user finds it, so that it is there whole or not at all."""
    with as_resource_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.part")
        try:
            shutil.copyfile(source, temporary)
            _flush(temporary)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_whole(target: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    with as_resource_errors(target):
        temporary = target.with_name(f".{target.name}.part")
        temporary.write_bytes(data)
        temporary.replace(target)


def _rename(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    _flush(target.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def as_resource_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = {
            errno.ENOSPC: "the disk is full: free some space and run again, it resumes",
            errno.EDQUOT: "the disk quota is used up: free some space and run again, it resumes",
            errno.EACCES: "it cannot be written: choose another folder",
            errno.EROFS: "it cannot be written: choose another folder",
        }.get(error.errno or 0, error.strerror or str(error))
        raise ResourceError(f"{path}: {advice}") from error
