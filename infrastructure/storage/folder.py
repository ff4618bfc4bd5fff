"""Artifacts in a folder: written beside, flushed to the disk, then renamed to their hash."""

import contextlib
import errno
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from application.ports import Artifact
from domain.errors import ArtifactError, InputError, ResourceError

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_LOST = (errno.ENOENT, errno.EIO)
"""What is gone or cannot be read back is made anew; any other trouble is the machine's."""


class FolderArtifactStore:
    """The adapter of the port `ArtifactStore` for one machine, or a shared network folder.

    ROOT/ab/abcd... are the artifacts, ROOT/records/ the records and ROOT/tmp/ what is being
    written. Many processes on many machines may use one folder; the network file system must have
    hard links, as NFS has.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._temporary = root / "tmp"
        with as_resource_errors(root):
            self._temporary.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes) -> Artifact:
        artifact = Artifact(hashlib.sha256(data).hexdigest(), len(data))
        if not self.renew(artifact):
            self._write(self._path(artifact), data)
        return artifact

    def put_file(self, path: Path) -> Artifact:
        with as_resource_errors(path):
            artifact = Artifact(file_sha256(path), path.stat().st_size)
            if self.renew(artifact):
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
            if error.errno not in _LOST:
                raise ResourceError(f"{path}: cannot be read: {error.strerror}") from error
            raise ArtifactError(f"{path}: {error.strerror}: run again, it is made anew") from error
        if hashlib.sha256(data).hexdigest() != artifact.sha256:
            raise ArtifactError(f"{path}: its bytes were changed: run again, it is made anew")
        return memoryview(data)

    def local_path(self, artifact: Artifact) -> Path:
        return self._path(artifact)

    def holds(self, artifact: Artifact) -> bool:
        path = self._path(artifact)
        try:
            return path.stat().st_size == artifact.size and file_sha256(path) == artifact.sha256
        except OSError:
            return False

    def artifacts(self) -> Iterator[tuple[Artifact, float]]:
        for folder in sorted(self.root.glob("[0-9a-f][0-9a-f]")):
            for path in sorted(folder.iterdir()):
                with contextlib.suppress(FileNotFoundError):  # removed since it was listed
                    status = path.stat()
                    yield Artifact(path.name, status.st_size), status.st_mtime

    def remove(self, artifact: Artifact) -> None:
        path = self._path(artifact)
        with as_resource_errors(path):
            path.unlink(missing_ok=True)

    def put_record(self, name: str, data: bytes) -> None:
        self._write(self._record(name), data)

    def put_first(self, name: str, data: bytes) -> bytes:
        target = self._record(name)
        with as_resource_errors(target), self._written(data) as temporary:
            while not _link(temporary, target):
                there = self.read_record(name)
                if there is not None:  # it may have been removed just now
                    return there
        return data

    def read_record(self, name: str) -> bytes | None:
        path = self._record(name)
        with as_resource_errors(path), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return path.read_bytes()
        return None

    def remove_record(self, name: str) -> None:
        path = self._record(name)
        with as_resource_errors(path):
            path.unlink(missing_ok=True)

    def records(self, folder: str) -> Iterator[str]:
        base = self.root / "records"
        for parent, folders, files in os.walk(self._record(folder)):
            folders.sort()
            yield from (Path(parent, name).relative_to(base).as_posix() for name in sorted(files))

    def free_bytes(self) -> int | None:
        with as_resource_errors(self.root):
            return shutil.disk_usage(self.root).free

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Path]:
        folder = self._temporary_path()
        with as_resource_errors(folder):
            folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def clear_temporary(self, older_than_s: float = 0) -> None:
        """Remove what killed processes left: all that nobody wrote to for so long.

        0 removes everything, which is right only while no other process uses the store.
        """
        with as_resource_errors(self._temporary):
            for path in self._temporary.iterdir():
                if older_than_s and time.time() - _last_written(path) < older_than_s:
                    continue
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    def _path(self, artifact: Artifact) -> Path:
        return self.root / artifact.sha256[:2] / artifact.sha256

    def _record(self, name: str) -> Path:
        return self.root / "records" / checked_name(name)

    def renew(self, artifact: Artifact) -> bool:
        """Whether it is there already; its age starts anew, so that no collector takes it."""
        try:
            if not self.holds(artifact):
                return False
            os.utime(self._path(artifact))
        except FileNotFoundError:  # collected in between
            return False
        except OSError:  # another user's file in a shared folder, or a disk for reading only
            return True
        return True

    def _temporary_path(self) -> Path:
        return self._temporary / uuid.uuid4().hex

    def _write(self, target: Path, data: bytes) -> None:
        with as_resource_errors(target), self._written(data) as temporary:
            _rename(temporary, target)

    @contextlib.contextmanager
    def _written(self, data: bytes) -> Iterator[Path]:
        """A temporary file with the bytes, safe on the disk; what is left of it is removed."""
        temporary = self._temporary_path()
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


def checked_name(name: str) -> str:
    """A record's name as it was given.

    Raises:
        InputError: it would lead out of the records' folder.
    """
    parts = name.split("/")
    if "\0" in name or any(part in {"", ".", ".."} for part in parts):
        raise InputError(f"{name!r} cannot name a record: use names parted by single slashes")
    return name


def publish(source: Path, target: Path) -> None:
    """Copy a file to where the user finds it, so that it is there whole or not at all."""
    with as_resource_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _replacing(target) as temporary:
            shutil.copyfile(source, temporary)


def write_whole(target: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    with as_resource_errors(target), _replacing(target) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A file to write beside the target, which it replaces in the end if all went well."""
    temporary = target.with_name(f".{target.name}.part")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _rename(source: Path, target: Path) -> None:
    _make_folder(target.parent)
    source.replace(target)
    _flush(target.parent)


def _link(source: Path, target: Path) -> bool:
    """Give the finished file its name, unless the name is taken: one of many writers succeeds."""
    _make_folder(target.parent)
    try:
        os.link(source, target)
    except FileExistsError:
        # NFS repeats a request whose answer was lost, and then reports our own link as taken.
        return source.stat().st_nlink > 1
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise ResourceError(
            f"{target.parent}: this file system has no hard links: choose another, or s3://"
        ) from error
    _flush(target.parent)
    return True


def _make_folder(folder: Path) -> None:
    """Make it and its parents so that they outlive a power cut."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _flush(folder.parent)


def _last_written(path: Path) -> float:
    """When anything in the file or folder was written to; 0 where it is gone."""
    times = [0.0]
    inside = [Path(folder, name) for folder, _, files in os.walk(path) for name in files]
    for each in (path, *inside):
        with contextlib.suppress(FileNotFoundError):
            times.append(each.stat().st_mtime)
    return max(times)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
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
