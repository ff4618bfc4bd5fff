"""The trace of a match, as W3C trace contexts: one trace from the request to the last consumer.

Its spans end in processes that share nothing but the match's record, so their ids are derived, not
exchanged. The root's is the caller's span id XOR a hash of the pipeline's id: whoever ends the
match finds the caller in it, and needs no other record. That of a cell, or of a retry, is a hash of
its name, so that whatever is caused by it can point at it.
"""

import hashlib
import re
import uuid
from contextvars import ContextVar
from typing import NamedTuple

CALLER: ContextVar[str] = ContextVar("caller", default="")
"""The `traceparent` header of the request that is being answered."""
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class TraceContext(NamedTuple):
    """A place in a trace: 32 and 16 hexadecimal digits, and whether the trace is recorded."""

    trace_id: str
    span_id: str
    sampled: bool = True

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"

    @classmethod
    def parse(cls, traceparent: str) -> "TraceContext | None":
        """None where it is no trace context; what came from outside is never trusted to be one."""
        found = _FORM.fullmatch(traceparent)
        if not found or set(found[1]) == {"0"} or set(found[2]) == {"0"}:
            return None
        if found[4] and traceparent.startswith("00"):
            return None
        return cls(found[1], found[2], bool(int(found[3], 16) & 1))


def begin(pipeline_id: str, caller: str = "", *, sampled: bool = False) -> TraceContext:
    """The root of a match's trace: in the caller's trace, if it is in one, else in a new one."""
    parent = TraceContext.parse(caller)
    own = span_id(pipeline_id)
    if parent is None:
        return TraceContext(uuid.uuid4().hex, own, sampled)
    return TraceContext(parent.trace_id, _xor(own, parent.span_id), parent.sampled)


def caller_of(pipeline_id: str, root: TraceContext) -> str:
    """The span id of the caller that `begin` was given; all zeros for none."""
    return _xor(root.span_id, span_id(pipeline_id))


def span_id(*names: object) -> str:
    """The id of the span with these names."""
    return hashlib.sha256("/".join(map(str, names)).encode()).hexdigest()[:16]


def _xor(first: str, second: str) -> str:
    return f"{int(first, 16) ^ int(second, 16):016x}"
