"""Who calls: the owner of a key, or somebody on this machine who needs none."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.types import Scope as Connection

from application.api_keys import ApiKey, Scope

_FORWARDED = (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via", b"x-forwarded-host")


@dataclass(frozen=True)
class Caller:
    """Whose matches these are, and what may be done; `owner` is empty for nobody in particular."""

    owner: str = ""
    scopes: frozenset[Scope] = frozenset()
    key_id: str = ""
    address: str = ""

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or self.sees_all

    @property
    def sees_all(self) -> bool:
        """Whether other owners' matches are there for this one too."""
        return "operate" in self.scopes

    @property
    def is_local(self) -> bool:
        """Without a key: somebody on this machine."""
        return self.sees_all and not self.key_id

    @classmethod
    def of(cls, key: ApiKey, address: str) -> "Caller":
        return cls(key.owner, frozenset(key.scopes), key.key_id, address)

    @classmethod
    def here(cls, address: str) -> "Caller":
        return cls(scopes=frozenset({"operate"}), address=address)


def headers_of(connection: Connection) -> Mapping[bytes, bytes]:
    """The headers by name; of repeated ones the last."""
    return dict(connection["headers"])


def address_of(connection: Connection) -> str:
    """The client's address; empty behind a Unix socket."""
    return connection["client"][0] if connection.get("client") else ""


def is_local(connection: Connection) -> bool:
    """Whether a program on this machine asks this machine, for itself.

    Not so what a proxy passes on, nor a page that reaches us under a name of its own (DNS
    rebinding): the header Host must name the loopback.
    """
    headers = headers_of(connection)
    ends: tuple[Any, Any] = connection.get("client"), connection.get("server")
    if not all(end and _is_loopback(end[0]) for end in ends):
        return False
    # nginx passes on with HTTP/1.0, and tells nothing else unless it was told to
    if connection.get("http_version") == "1.0" or any(name in headers for name in _FORWARDED):
        return False
    return _is_loopback(host_of(headers))


def host_of(headers: Mapping[bytes, bytes]) -> str:
    """The name in the header Host, without its port; empty where it cannot be read."""
    try:
        return urlsplit(f"//{headers.get(b'host', b'').decode('ascii')}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
