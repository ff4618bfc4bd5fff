"""Artifacts in an object store (S3 and what speaks like it) behind a cache on the local disk."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    HTTPClientError,
    NoCredentialsError,
)

from application.ports import Artifact
from domain.errors import ArtifactError, ResourceError
from infrastructure.settings import masked
from infrastructure.storage.cache import LocalCache
from infrastructure.storage.folder import checked_name

_PART_BYTES = 16 << 20
_S3 = {"default_block_size": _PART_BYTES, "max_concurrency": 4}
_FRESH_S = 3600.0
_TRIES = 6
_CREATING = threading.Lock()
"""The memory file system looks and then writes; object stores decide by themselves."""


class RemoteArtifactStore:
    """The adapter of the port `ArtifactStore` for a bucket that many machines share.

    The objects are laid out as the files of `FolderArtifactStore` are. Whoever puts an artifact
    that is there already renews its time once it is an hour old: a collector that spares what is
    younger than two hours takes nothing that was put just now. The client is made on first use
    and anew in a forked child, since its threads do not live through a fork.

    S3 takes its endpoint, region and credentials from the standard variables: AWS_ENDPOINT_URL,
    AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE.
    """

    def __init__(self, url: str, cache: Path, cache_bytes: int) -> None:
        self.url = masked(url)
        self._cache = LocalCache(cache, cache_bytes)
        self._scheme, _, location = url.partition("://")
        self._root = location.strip("/")
        self._is_s3 = self._scheme in {"s3", "s3a"}
        self._client: tuple[int, Any] = (0, None)

    def put(self, data: bytes) -> Artifact:
        artifact = self._cache.put(data)
        if not self._is_fresh(artifact):
            with self._foreign_errors():
                self._files.pipe_file(self._path(artifact), data, **self._parts)
        return artifact

    def put_file(self, path: Path) -> Artifact:
        artifact = self._cache.put_file(path)
        if not self._is_fresh(artifact):
            with self._foreign_errors():
                self._files.put_file(
                    str(self._cache.path(artifact)), self._path(artifact), **self._parts
                )
        return artifact

    def read(self, artifact: Artifact) -> memoryview:
        self.local_path(artifact)
        with contextlib.suppress(ArtifactError):  # the cached file was changed, or trimmed
            return self._cache.read(artifact)
        self._cache.remove(artifact)
        self.local_path(artifact)
        return self._cache.read(artifact)

    def local_path(self, artifact: Artifact) -> Path:
        """A file in the cache; it stays for the cache's `keep_s` at least.

        Raises:
            ArtifactError: it is missing, or its bytes are not the promised ones.
        """
        path = self._cache.use(artifact)
        return path if path else self._download(artifact)

    def holds(self, artifact: Artifact) -> bool:
        """Whether it is there with the promised size; its bytes are checked when they are read."""
        return self._age_s(artifact) is not None

    def renew(self, artifact: Artifact) -> bool:
        if not self.holds(artifact):
            return False
        if not self._is_fresh(artifact):
            try:
                path = self.local_path(artifact)
            except ArtifactError:
                return False
            with self._foreign_errors():
                self._files.put_file(str(path), self._path(artifact), **self._parts)
        return True

    def artifacts(self) -> Iterator[tuple[Artifact, float]]:
        for folder in self._names(self._root):
            if len(folder) == 2:
                for info in self._find(f"{self._root}/{folder}"):
                    name = info["name"].rsplit("/", 1)[-1]
                    yield Artifact(name, int(info["size"])), _written_at(info)

    def remove(self, artifact: Artifact) -> None:
        self._cache.remove(artifact)
        self._remove(self._path(artifact))

    def put_record(self, name: str, data: bytes) -> None:
        with self._foreign_errors():
            self._files.pipe_file(self._record(name), data)

    def put_first(self, name: str, data: bytes) -> bytes:
        for trial in range(_TRIES):
            if self._create(self._record(name), data):
                return data
            there = self.read_record(name)
            if there is not None:
                return there
            time.sleep(0.05 * 2**trial)  # another's write of this name is under way
        raise ResourceError(f"{self.url}: {name} cannot be created: others keep writing to it")

    def read_record(self, name: str) -> bytes | None:
        # One request; by default s3fs asks for the size first.
        options = {"max_concurrency": 1} if self._is_s3 else {}
        with self._foreign_errors(), _AbsentIsFine():
            return bytes(self._files.cat_file(self._record(name), **options))
        return None

    def remove_record(self, name: str) -> None:
        self._remove(self._record(name))

    def records(self, folder: str) -> Iterator[str]:
        start = len(self._record("x")) - 1
        for info in self._find(self._record(folder)):
            yield info["name"].lstrip("/")[start:]

    def free_bytes(self) -> int | None:
        return None

    def workspace(self) -> contextlib.AbstractContextManager[Path]:
        return self._cache.workspace()

    def clear_temporary(self, older_than_s: float = 0) -> None:
        """Remove what killed processes left on this machine.

        Parts of uploads that were cut off are the bucket's own to expire: a lifecycle rule
        (AbortIncompleteMultipartUpload).
        """
        self._cache.clear_temporary(older_than_s)

    @property
    def _files(self) -> Any:
        pid, client = self._client
        if pid != os.getpid():
            client = fsspec.filesystem(
                self._scheme,
                skip_instance_cache=True,
                use_listings_cache=False,  # others write too
                **(_S3 if self._is_s3 else {}),
            )
            self._client = os.getpid(), client
        return client

    @property
    def _parts(self) -> dict[str, int]:
        return {"chunksize": _PART_BYTES} if self._is_s3 else {}

    def _path(self, artifact: Artifact) -> str:
        return f"{self._root}/{artifact.sha256[:2]}/{artifact.sha256}"

    def _record(self, name: str) -> str:
        return f"{self._root}/records/{checked_name(name)}"

    def _age_s(self, artifact: Artifact) -> float | None:
        """How long ago it was written; None where it is not there in its full size."""
        with self._foreign_errors(), _AbsentIsFine():
            info = self._files.info(self._path(artifact))
            return time.time() - _written_at(info) if info["size"] == artifact.size else None
        return None

    def _is_fresh(self, artifact: Artifact) -> bool:
        age_s = self._age_s(artifact)
        return age_s is not None and age_s < _FRESH_S

    def _download(self, artifact: Artifact) -> Path:
        for _ in range(2):
            with self.workspace() as folder:
                target = folder / artifact.sha256
                self._fetch(artifact, target)
                if self._cache.accept(target, artifact):
                    return self._cache.path(artifact)
        # It stays wrong: gone, it will be uploaded anew; there, `put` would take it for the right.
        self._remove(self._path(artifact))
        raise ArtifactError(
            f"{self._named(artifact)}: its bytes were changed: run again, it is made anew"
        )

    def _fetch(self, artifact: Artifact, target: Path) -> None:
        with self._foreign_errors(), _AbsentIsFine():
            self._files.get_file(self._path(artifact), str(target))
            return
        raise ArtifactError(f"{self._named(artifact)}: it is missing: run again, it is made anew")

    def _create(self, path: str, data: bytes) -> bool:
        """Whether the object was written by this call and nobody else."""
        with self._foreign_errors():
            try:
                with _CREATING if self._scheme == "memory" else contextlib.nullcontext():
                    self._files.pipe_file(path, data, mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                if _code(error) not in {"PreconditionFailed", "ConditionalRequestConflict"}:
                    raise
                return False
        return True

    def _remove(self, path: str) -> None:
        with self._foreign_errors(), _AbsentIsFine():
            self._files.rm_file(path)

    def _names(self, folder: str) -> list[str]:
        with self._foreign_errors(), _AbsentIsFine():
            found = self._files.ls(folder, detail=False)
            return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)
        return []

    def _find(self, folder: str) -> list[dict[str, Any]]:
        with self._foreign_errors(), _AbsentIsFine():
            found: dict[str, dict[str, Any]] = self._files.find(folder, detail=True)
            return [found[name] for name in sorted(found)]
        return []

    def _named(self, artifact: Artifact) -> str:
        return f"{self.url.rstrip('/')}/{artifact.sha256[:2]}/{artifact.sha256}"

    @contextlib.contextmanager
    def _foreign_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, BotoCoreError) as error:
            raise ResourceError(f"{self.url}: {_advice(error)}") from error


class _AbsentIsFine(contextlib.AbstractContextManager[None]):
    """Passes over an object that is not there; a bucket that is not there is an error."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> bool:
        return isinstance(error, FileNotFoundError) and _code(error) != "NoSuchBucket"


def _code(error: BaseException) -> str:
    """The service's own word for what went wrong, which s3fs keeps in the cause."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _advice(error: Exception) -> str:
    """What to do, in words of our own: a client's text may repeat an address with a password."""
    match error:
        case NoCredentialsError():
            return "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
        case PermissionError():
            return "access denied: check the credentials and what the bucket allows them"
        case FileNotFoundError():
            return "the bucket is not there: create it"
        case HTTPClientError() | ConnectionError() | TimeoutError():
            return "no answer: check the network and AWS_ENDPOINT_URL; it is tried again"
    code = _code(error) or getattr(error, "strerror", None) or type(error).__name__
    return f"the storage refused: {masked(code)}"


def _written_at(info: dict[str, Any]) -> float:
    """When the object was written, in Unix seconds: each driver has its own name for it."""
    for name in ("LastModified", "mtime", "updated", "created"):
        if value := info.get(name):
            return float(value.timestamp() if hasattr(value, "timestamp") else value)
    return 0.0
