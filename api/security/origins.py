"""Which web pages may reach the service: its own, and those that the operator names."""

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_foreign(headers: Mapping[bytes, bytes], allowed: Collection[str]) -> bool:
    """Whether a page of somebody else's sent this; programs that are no browsers name no page."""
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin:
        return headers.get(b"sec-fetch-site", b"") in {b"cross-site", b"same-site"}
    return origin not in allowed and not _is_own(
        origin, headers.get(b"host", b"").decode("latin-1")
    )


def _is_own(origin: str, host: str) -> bool:
    """The scheme is left out: behind a proxy that ends TLS it is not ours."""
    try:
        page, own = urlsplit(origin), urlsplit(f"//{host}")
        default = _DEFAULT_PORTS[page.scheme]
        ports = page.port or default, own.port or default
    except (ValueError, KeyError):
        return False
    return bool(page.hostname) and page.hostname == own.hostname and ports[0] == ports[1]


class CrossOrigin:
    """Tells browsers that the operator's pages may read what the service answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._telling: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        guard = getattr(scope["app"].state, "guard", None) if scope["type"] == "http" else None
        if guard is None or not guard.rules.allowed_origins:
            await self._app(scope, receive, send)
            return
        if self._telling is None:
            self._telling = CORSMiddleware(
                self._app,
                allow_origins=guard.rules.allowed_origins,
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["Authorization", "X-API-Key", "Idempotency-Key", "Last-Event-ID"],
                expose_headers=["Location", "Retry-After", "ETag"],
            )
        await self._telling(scope, receive, send)
