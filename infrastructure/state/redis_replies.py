"""What the scripts of the Redis state store take and answer, as the port's types."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from application.ports import Artifact
from application.state import (
    ADMISSION,
    PRIORITIES,
    Change,
    JobStates,
    LogEntry,
    PipelineRecord,
    Progress,
    Trouble,
)
from domain.grid import Cell, Follower, Queue
from domain.pipeline import DomainEvent, EventKind, PipelineState

KEY_BYTES = 32
_NO_KEY = bytes(KEY_BYTES)


def fields_of(record: PipelineRecord) -> list[str]:
    """Names and values for the pipeline's hash; what is as by default has none."""
    values = {
        "configuration": record.configuration,
        "owner": record.owner,
        "rank": str(PRIORITIES.index(record.priority)),
        "attempt": str(record.attempt or ""),
        "error": record.error,
        "plan": plan_text(record.plan) if record.plan else "",
        "submitted_at": _moment(record.submitted_at),
        "started_at": _moment(record.started_at),
        "finished_at": _moment(record.finished_at),
        "traceparent": record.traceparent,
    }
    return [part for name, value in values.items() if value for part in (name, value)]


def plan_text(plan: Artifact) -> str:
    return f"{plan.sha256}:{plan.size}"


def _moment(seconds: float) -> str:
    return repr(seconds) if seconds else ""


def record_from(pipeline_id: str, pairs: Sequence[bytes]) -> PipelineRecord:
    """The pipeline's hash as Redis gives it."""
    kept = texts(pairs)
    sha256, _, size = kept.get("plan", "").partition(":")
    return PipelineRecord(
        pipeline_id,
        kept["configuration"],
        PipelineState(kept["state"]),
        kept.get("owner", ""),
        PRIORITIES[int(kept["rank"])],
        int(kept.get("attempt", 0)),
        kept.get("error", ""),
        Artifact(sha256, int(size)) if sha256 else None,
        float(kept.get("submitted_at", 0)),
        float(kept.get("started_at", 0)),
        float(kept.get("finished_at", 0)),
        kept.get("traceparent", ""),
    )


def texts(pairs: Sequence[bytes]) -> dict[str, str]:
    """Names and values in turn, as a mapping."""
    words = [part.decode() for part in pairs]
    return dict(zip(words[::2], words[1::2], strict=True))


def event_parts(events: Iterable[DomainEvent]) -> list[list[object]]:
    return [
        [event.kind.value, str(event.cell or ""), event.attempt, event.message, event.key]
        for event in events
    ]


def entry_from(identity: bytes, pairs: Sequence[bytes]) -> LogEntry:
    """An entry of the stream."""
    kept = texts(pairs)
    event = _event(kept["k"], kept["p"], kept["c"], int(kept["a"]), kept["m"], kept["y"])
    number, change = int(identity.partition(b"-")[0]), int(kept["n"])
    return LogEntry(number, int(kept["s"]), float(kept["t"]), event, kept["w"], change)


_CHANGES = msgspec.msgpack.Decoder(tuple[int, str, str, str, int, str, str])


def change_from(pipeline_id: str, element: bytes) -> Change:
    """An element of a pipeline's story."""
    number, time, kind, cell, attempt, message, key = _CHANGES.decode(element)
    event = _event(kind, pipeline_id, cell, attempt, message, key)
    return Change(number, float(time), event)


def _event(
    kind: str, pipeline_id: str, cell: str, attempt: int, message: str, key: str
) -> DomainEvent:
    where = Cell.parse(cell) if cell else None
    return DomainEvent(EventKind(kind), pipeline_id, where, attempt, message, key)


def follower_parts(followers: Sequence[Follower]) -> list[list[object]]:
    return [[each.job.number, each.queue, each.spans] for each in followers]


def key_runs(keys: Mapping[int, str]) -> tuple[list[tuple[int, int]], bytes]:
    """Runs of neighbouring cells (first, count), and the keys' bytes one after the other."""
    runs: list[tuple[int, int]] = []
    for cell in sorted(keys):
        if runs and sum(runs[-1]) == cell:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((cell, 1))
    return runs, b"".join(bytes.fromhex(keys[cell]) for cell in sorted(keys))


def key_text(key: bytes) -> str:
    """The key of a cell; one that was never done has none."""
    return key.hex() if len(key) == KEY_BYTES and key != _NO_KEY else ""


def progress_from(answer: tuple[bytes, int, int]) -> Progress:
    state, cpu, gpu = answer
    freed: dict[Queue, int] = {"cpu": cpu, "gpu": gpu}
    ready = {queue: count for queue, count in freed.items() if count}
    return Progress(ready, PipelineState(state.decode()))


def job_states_from(answer: tuple[bytes, bytes, bytes, int, list[bytes], list[bytes]]) -> JobStates:
    done, cpu, gpu, queued, leases, troubles = answer
    ready = {*_numbers(cpu), *_numbers(gpu)} | ({ADMISSION} if queued else set())
    holders = {int(job): text.split("|", 2)[2] for job, text in texts(leases).items()}
    found = (_trouble(int(job), text) for job, text in texts(troubles).items())
    return JobStates(
        frozenset(_numbers(done)),
        frozenset(ready),
        dict(sorted(holders.items())),
        tuple(sorted(found, key=lambda trouble: trouble.job)),
    )


def _trouble(job: int, text: str) -> Trouble:
    failures, losses, fate, _, error = text.split(":", 4)
    return Trouble(job, int(failures) + int(losses), error, dead=fate == "d")


def _numbers(bitmap: bytes) -> Iterator[int]:
    """The set bits; Redis counts them from the highest of the first byte."""
    for place, byte in enumerate(bitmap):
        for bit in range(8):
            if byte & (0x80 >> bit):
                yield 8 * place + bit


class Ability(msgspec.Struct, frozen=True):
    """What is kept of a worker beside its name and the time at which it was seen."""

    worker: str
    queues: tuple[Queue, ...]
    able: tuple[str, ...]
