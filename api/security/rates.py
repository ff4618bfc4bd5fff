"""How often each caller may ask: moving windows, in Redis where processes share one."""

import contextlib
import logging
import math
import time
from dataclasses import dataclass
from typing import Literal

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

_log = logging.getLogger(__name__)
FAILURES_A_MINUTE = 30
"""Wrong keys from one address, before no more of them are looked up."""
_PATIENCE_S = 1.0
Kind = Literal["requests", "submissions", "failures"]


@dataclass(frozen=True)
class Allowance:
    """Requests of one caller in a minute, and those among them that bring work."""

    requests: int = 3000
    submissions: int = 120


class Rates:
    """Counts by caller. Without Redis, or while it is away, each process counts for itself."""

    def __init__(self, allowance: Allowance, redis_url: str = "") -> None:
        self._items = {
            "requests": RateLimitItemPerMinute(allowance.requests),
            "submissions": RateLimitItemPerMinute(allowance.submissions),
            "failures": RateLimitItemPerMinute(FAILURES_A_MINUTE),
        }
        self._memory = MemoryStorage()
        self._own = MovingWindowRateLimiter(self._memory)
        self._pool = _pool(redis_url) if redis_url else None
        self._shared = MovingWindowRateLimiter(_storage(self._pool)) if self._pool else self._own

    async def wait_s(self, kind: Kind, who: str) -> int:
        """0 where it is within the limit; else after how many seconds it is again."""
        try:
            return await self._hit(self._shared, kind, who)
        except RedisError as error:
            _log.warning("rate limits are this process's own: %s", type(error).__name__)
            return await self._hit(self._own, kind, who)

    async def _hit(self, limiter: MovingWindowRateLimiter, kind: Kind, who: str) -> int:
        item = self._items[kind]
        if await limiter.hit(item, kind, who):
            return 0
        stats = await limiter.get_window_stats(item, kind, who)
        return max(1, math.ceil(stats.reset_time - time.time()))

    async def close(self) -> None:
        if self._pool:
            await self._pool.disconnect()
        if self._memory.timer:
            self._memory.timer.cancel()
            with contextlib.suppress(BaseException):
                await self._memory.timer


def _pool(url: str) -> ConnectionPool:
    return ConnectionPool.from_url(
        url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S
    )


def _storage(pool: ConnectionPool) -> RedisStorage:
    return RedisStorage(
        "async+redis://",
        implementation="redispy",
        key_prefix="footanalytics:limits",
        connection_pool=pool,  # type: ignore[arg-type]
    )
