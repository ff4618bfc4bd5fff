"""What the gate asks: is this caller known, and may it ask again already?"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from starlette.concurrency import run_in_threadpool
from starlette.types import Scope as Connection

from api.security.callers import Caller, address_of, headers_of, is_local
from api.security.rates import Allowance, Kind, Rates
from application.api_keys import ApiKeys
from application.ports import ArtifactStore
from application.state import StateStore
from application.tickets import Tickets

if TYPE_CHECKING:
    from infrastructure.settings import Settings


@dataclass(frozen=True)
class Rules:
    """What the operator has decided.

    `require_keys` "auto" spares callers on this machine. `rates_url` is the Redis that processes
    share for their counts. `models` is the folder of networks that clients may name. `max_queued`
    matches of one owner may wait.
    """

    require_keys: Literal["auto", "always"] = "auto"
    allowed_origins: Sequence[str] = ()
    allowance: Allowance = field(default_factory=Allowance)
    rates_url: str = ""
    models: Path | None = None
    max_queued: int = 500

    @classmethod
    def of(cls, settings: "Settings", rates_url: str = "") -> "Rules":
        return cls(
            settings.ml_pipeline_require_keys,
            settings.ml_pipeline_allowed_origins,
            Allowance(
                settings.ml_pipeline_requests_per_minute,
                settings.ml_pipeline_submissions_per_minute,
            ),
            rates_url,
            settings.ml_pipeline_model_dir,
            settings.ml_pipeline_max_queued_per_client,
        )


class RefusedError(Exception):
    """The request goes no further; `wait_s` tells when it may come again."""

    def __init__(self, status: int, kind: str, detail: str, wait_s: int = 0) -> None:
        super().__init__(detail)
        self.status, self.kind, self.wait_s = status, kind, wait_s


class Guard:
    """Keys, tickets and counts of one service."""

    def __init__(self, rules: Rules, artifacts: ArtifactStore, state: StateStore) -> None:
        self.rules = rules
        self.keys = ApiKeys(artifacts, time.time)
        self.tickets = Tickets(state, self.keys.ticket_secret, time.time)
        self._rates = Rates(rules.allowance, rules.rates_url)

    async def caller(self, connection: Connection, ticket: str) -> Caller | None:
        """Who it is; None for somebody without a key.

        Raises:
            RefusedError: the key or the ticket is none.
        """
        address, text = address_of(connection), _key_of(connection)
        if text:
            return await self._with_key(text, address)
        if ticket:
            return await self._with_ticket(ticket, address)
        if self.rules.require_keys == "auto" and is_local(connection):
            return Caller.here(address)
        return None

    async def count(self, caller: Caller, kind: Kind) -> None:
        """Raises RefusedError where it was too often; who is on this machine is not counted."""
        if caller.is_local:
            return
        wait_s = await self._rates.wait_s(kind, caller.key_id or caller.address)
        if wait_s:
            text = f"too many {kind}: ask again in {wait_s} s"
            raise RefusedError(429, "too-many-requests", text, wait_s)

    async def close(self) -> None:
        await self._rates.close()

    async def _with_key(self, text: str, address: str) -> Caller:
        key = self.keys.check(text, look=False) or await run_in_threadpool(self.keys.check, text)
        if key:
            return Caller.of(key, address)
        await self.count(Caller(address=address), "failures")
        raise RefusedError(401, "wrong-key", "this key is unknown, expired or revoked: get another")

    async def _with_ticket(self, text: str, address: str) -> Caller:
        found = await run_in_threadpool(self.tickets.take, text)
        if found and not found.key_id:
            return Caller.here(address)
        key = await run_in_threadpool(self.keys.current, found.key_id) if found else None
        if key:
            return Caller.of(key, address)
        await self.count(Caller(address=address), "failures")
        text = "this ticket is unknown, too old or was used: get another by POST /api/v1/tickets"
        raise RefusedError(401, "wrong-ticket", text)


def _key_of(connection: Connection) -> str:
    """What the headers show as a key; of the wrong form too, so that it is refused."""
    headers = headers_of(connection)
    given = headers.get(b"x-api-key", b"").decode("latin-1").strip()
    authorization = headers.get(b"authorization", b"").decode("latin-1").strip()
    if not authorization:
        return given
    kind, _, text = authorization.partition(" ")
    return text.strip() if kind.lower() == "bearer" and text.strip() else "(no bearer token)"
