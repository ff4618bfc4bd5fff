"""What is written down, and what never is.

One line for each request that changes something, watches or is refused: who, what, outcome.
"""

import logging
import re
from urllib.parse import quote

from api.security.callers import Caller

_log = logging.getLogger("footanalytics.audit")
_SECRET = re.compile(
    r"(\bticket=|\bfa_[0-9a-f]{12}_|authorization: (?:\w+ )?|x-api-key: )[\w.%~+/=-]+",
    re.IGNORECASE,
)


def _without_secrets(line: logging.LogRecord) -> bool:
    """A filter: keys and tickets become stars."""
    text = line.getMessage()
    hidden = _SECRET.sub(r"\1***", text)
    if hidden != text:
        line.msg, line.args = hidden, ()
    return True


def prepare() -> None:
    """Make sure that the lines go somewhere, and that no secret goes anywhere.

    They go to stderr, unless logging was set up otherwise. The server's own loggers write requests
    as they come when they are set to debug.
    """
    for name in ("uvicorn.error", "websockets.server"):
        logging.getLogger(name).addFilter(_without_secrets)
    _log.setLevel(logging.INFO)
    if not _log.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s audit %(message)s"))
        _log.addHandler(handler)
        _log.propagate = False


def note(text: str) -> None:
    """A line about something that was no request; all of it is ours."""
    _log.info("%s", text)


def record(
    what: str, path: str, outcome: int | str, *, caller: Caller, pipeline_id: str = ""
) -> None:
    """Nothing that a client chose gets into the line but as an escaped path without its query."""
    _log.info(
        "who=%s key=%s did=%s path=%s pipeline=%s outcome=%s client=%s",
        caller.owner or ("(local)" if caller.is_local else "-"),
        caller.key_id or "-",
        what,
        quote(path[:300], safe="/"),
        pipeline_id or "-",
        outcome,
        quote(caller.address, safe=":.") or "-",
    )
