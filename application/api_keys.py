"""API keys: who may do what. Kept on storage, so that they outlive a lost state; never in clear.

A key is 256 random bits, which nobody finds by trying: a fast keyed hash hides it well enough.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Collection, Iterator
from typing import Literal, get_args

import msgspec

from application import records
from application.ports import ArtifactStore
from domain.errors import InputError

Scope = Literal["read", "submit", "operate"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
REMEMBERED_S = 10.0
"""How long a process goes on with what it read of a key: so long a revoked one may still work."""
_REMEMBERED = 1024
_TEXT = re.compile(r"fa_([0-9a-f]{12})_([\w-]{43})", re.ASCII)
_ID = re.compile(r"[0-9a-f]{12}")
_OWNER = re.compile(r"[\w.@-]{1,64}", re.ASCII)
_FOLDER = "api-keys"
_TICKETS = "api-ticket-secret"


class ApiKey(msgspec.Struct, frozen=True):
    """A key as it is kept. Times are Unix seconds, 0 for never."""

    key_id: str
    owner: str
    scopes: tuple[Scope, ...]
    digest: str
    created_at: float
    expires_at: float = 0.0
    revoked_at: float = 0.0
    replaces: str = ""

    def works(self, now: float) -> bool:
        return not self.revoked_at and (not self.expires_at or now < self.expires_at)


class ApiKeys:
    """The keys of a service. Their full texts are known to whoever was given them, and not here."""

    def __init__(self, artifacts: ArtifactStore, clock: Callable[[], float]) -> None:
        self._artifacts = artifacts
        self._clock = clock
        self._remembered: dict[str, tuple[float, ApiKey | None]] = {}

    def create(
        self, owner: str, scopes: Collection[Scope], lifetime_s: float = 0.0, replaces: str = ""
    ) -> tuple[ApiKey, str]:
        """A new key and its text, which cannot be had again; it lasts for ever where that is 0.

        Raises:
            InputError: the owner's name or a scope is not legal.
        """
        if not _OWNER.fullmatch(owner):
            raise InputError(f"owner {owner!a}: give 1 to 64 letters, digits or any of . _ @ -")
        if not scopes or set(scopes) - set(SCOPES):
            raise InputError(f"scopes {', '.join(scopes) or '(none)'}: legal are {_list(SCOPES)}")
        key_id, secret, now = secrets.token_hex(6), secrets.token_urlsafe(32), self._clock()
        key = ApiKey(
            key_id,
            owner,
            tuple(scope for scope in SCOPES if scope in scopes),
            _digest(key_id, secret),
            created_at=now,
            expires_at=now + lifetime_s if lifetime_s else 0.0,
            replaces=replaces,
        )
        self._keep(key)
        return key, f"fa_{key_id}_{secret}"

    def rotate(self, key_id: str, overlap_s: float) -> tuple[ApiKey, str]:
        """A new key like that one, which goes on for `overlap_s` at most.

        Raises:
            InputError: there is none of that id, or it works no more.
        """
        old, now = self.find(key_id), self._clock()
        if not old.works(now):
            raise InputError(f"key {key_id}: it works no more: create a new one")
        lifetime_s = old.expires_at - old.created_at if old.expires_at else 0.0
        made = self.create(old.owner, old.scopes, lifetime_s, replaces=key_id)
        ends = min(old.expires_at or now + overlap_s, now + overlap_s)
        self._keep(msgspec.structs.replace(old, expires_at=ends))
        return made

    def revoke(self, key_id: str) -> ApiKey:
        """End the key; one that was revoked stays so.

        Raises:
            InputError: there is none of that id.
        """
        key = self.find(key_id)
        if not key.revoked_at:
            key = msgspec.structs.replace(key, revoked_at=self._clock())
            self._keep(key)
        return key

    def find(self, key_id: str) -> ApiKey:
        """Raises InputError where there is none of that id."""
        key = self._read(key_id) if _ID.fullmatch(key_id) else None
        if key is None:
            raise InputError(
                f"there is no key {key_id[:40]!a}: `footanalytics keys list` shows them"
            )
        return key

    def all(self) -> Iterator[ApiKey]:
        """Every key, in no order."""
        for name in self._artifacts.records(_FOLDER):
            if data := self._artifacts.read_record(name):
                yield records.decode(data, ApiKey)

    def check(self, text: str, *, look: bool = True) -> ApiKey | None:
        """The key that `text` is, if it works; without `look` only among those remembered."""
        if not (match := _TEXT.fullmatch(text)):
            return None
        key = self.current(match[1], look=look)
        given = _digest(match[1], match[2])
        return key if key and hmac.compare_digest(given, key.digest) else None

    def current(self, key_id: str, *, look: bool = True) -> ApiKey | None:
        """The key of that id, if it works; what is known of it may be REMEMBERED_S old."""
        now = self._clock()
        until, key = self._remembered.get(key_id, (0.0, None))
        if not until - REMEMBERED_S <= now < until:
            if not look:
                return None
            key = self._read(key_id)
            self._remember(key_id, key, now + REMEMBERED_S)
        return key if key and key.works(now) else None

    def ticket_secret(self) -> bytes:
        """What the processes of one service sign their tickets with."""
        return self._artifacts.put_first(_TICKETS, secrets.token_bytes(32))

    def _remember(self, key_id: str, key: ApiKey | None, until: float) -> None:
        if key is None:  # anybody can ask for those without end
            return
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[key_id] = until, key

    def _read(self, key_id: str) -> ApiKey | None:
        data = self._artifacts.read_record(f"{_FOLDER}/{key_id}")
        return records.decode(data, ApiKey) if data else None

    def _keep(self, key: ApiKey) -> None:
        self._artifacts.put_record(f"{_FOLDER}/{key.key_id}", records.encode(key))


def _digest(key_id: str, secret: str) -> str:
    return hashlib.blake2b(secret.encode(), key=key_id.encode(), digest_size=32).hexdigest()


def _list(words: Collection[str]) -> str:
    return ", ".join(words)
