"""Tickets: what a browser shows instead of a key where it can send no header. Each works once.

A ticket is signed, not kept: only those that were used are remembered, for as long as they live.
"""

import base64
import binascii
import hmac
import secrets
import threading
from collections.abc import Callable

import msgspec

from application.state import StateStore

LIFE_S = 30.0
_LONGEST = 512


class Ticket(msgspec.Struct, frozen=True):
    """Who may watch with it; `key_id` is empty for somebody on this machine."""

    nonce: str
    key_id: str
    expires_at: float


class Tickets:
    """Gives tickets and takes them; `secret` is the same in all processes of a service."""

    def __init__(
        self, state: StateStore, secret: Callable[[], bytes], clock: Callable[[], float]
    ) -> None:
        self._state = state
        self._read_secret = secret
        self._secret = b""
        self._clock = clock
        self._used: dict[str, float] = {}
        self._lock = threading.Lock()

    def give(self, key_id: str) -> str:
        ticket = Ticket(secrets.token_urlsafe(16), key_id, self._clock() + LIFE_S)
        content = msgspec.msgpack.encode(ticket)
        return _text(content) + "." + _text(self._signature(content))

    def take(self, text: str) -> Ticket | None:
        """The ticket, the first time that it is shown; None for any other text."""
        ticket = self._signed(text)
        if ticket is None or ticket.expires_at <= self._clock() or not self._is_first(ticket):
            return None
        return ticket

    def _is_first(self, ticket: Ticket) -> bool:
        """Here, and where other processes share the state, there; SQLite is one process's own."""
        with self._lock:
            now = self._clock()
            self._used = {nonce: until for nonce, until in self._used.items() if until > now}
            if ticket.nonce in self._used:
                return False
            self._used[ticket.nonce] = ticket.expires_at + LIFE_S
        return self._state.alone(f"ticket:{ticket.nonce}", 2 * LIFE_S)

    def _signed(self, text: str) -> Ticket | None:
        try:
            content, signature = (_bytes(part) for part in text[:_LONGEST].split("."))
            if not hmac.compare_digest(signature, self._signature(content)):
                return None
            return msgspec.msgpack.decode(content, type=Ticket)
        except (ValueError, binascii.Error, msgspec.DecodeError):
            return None

    def _signature(self, content: bytes) -> bytes:
        self._secret = self._secret or self._read_secret()
        return hmac.digest(self._secret, content, "sha256")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
