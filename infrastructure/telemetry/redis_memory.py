"""How full the Redis servers of a cluster are."""

from collections.abc import Mapping

from infrastructure.settings import Settings
from infrastructure.state.redis_server import check_server

_REDIS = ("redis://", "rediss://", "unix://")


def redis_memory(settings: Settings) -> Mapping[str, tuple[float, float]]:
    """Memory used and its limit (0 for none), of the state's server and the broker's.

    Raises:
        ResourceError: one of them cannot be reached.
    """
    urls = {"state": settings.redis_url, "broker": settings.celery_broker_url.partition(";")[0]}
    facts = {name: check_server(url) for name, url in urls.items() if url.startswith(_REDIS)}
    return {name: (each.memory_used, each.memory_limit) for name, each in facts.items()}
