"""The artifact store that an address names."""

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from application.ports import ArtifactStore
from domain.errors import ConfigurationError, ResourceError
from infrastructure.settings import masked
from infrastructure.storage.folder import FolderArtifactStore

if TYPE_CHECKING:
    from infrastructure.storage.remote import RemoteArtifactStore

CACHE_BYTES = 20 << 30
_OBJECT_STORES = ("s3", "s3a", "memory")


def open_store(
    url: str, cache: Path | None = None, cache_bytes: int = CACHE_BYTES
) -> "FolderArtifactStore | RemoteArtifactStore":
    """The store at a path, file:///PATH, s3://BUCKET/PREFIX or, within one process, memory://NAME.

    `cache` is the folder for local copies of remote artifacts; it may grow to `cache_bytes`.

    Raises:
        ConfigurationError: no store is known by this scheme, or its driver is not installed.
        ResourceError: the folder cannot be written.
    """
    scheme, separator, location = url.partition("://")
    if not separator or scheme == "file":
        return FolderArtifactStore(Path(location if separator else url))
    if scheme not in _OBJECT_STORES or not location.strip("/"):
        raise ConfigurationError(
            f"ARTIFACT_URL={masked(url)}: cannot be used: give a folder or s3://BUCKET/PREFIX"
        )
    try:
        # The drivers take a second to import; a store in a folder does without them.
        from infrastructure.storage.remote import RemoteArtifactStore
    except ImportError as error:
        raise ConfigurationError(
            f"ARTIFACT_URL={masked(url)}: {error.name} is not installed: pip install s3fs"
        ) from error
    return RemoteArtifactStore(url, cache or _default_cache(), cache_bytes)


def check_store(store: ArtifactStore) -> None:
    """Write, read and remove something, and see that the first writer of a record wins.

    Raises:
        ResourceError: the store fails at it.
    """
    name = f"checks/{uuid.uuid4().hex}"
    try:
        kept = store.put_first(name, b"first"), store.put_first(name, b"second")
    finally:
        store.remove_record(name)
    if kept != (b"first", b"first"):
        raise ResourceError(
            "the artifact store overwrites instead of refusing (If-None-Match): use another service"
        )


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "footanalytics" / "artifacts"
