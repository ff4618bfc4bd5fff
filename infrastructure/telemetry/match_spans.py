"""The tree of a match's trace.

    video_processing                  from the submission to the match's end
      submit                          what the API kept before it answered
      admission, pass, player_tracking, export, ...      a try at a job
        player_detection, ...         the cells of a pass
        publish CellCompleted         and under it whatever the consumer does
      retry                           from the retry's start to its end; its jobs are under it

A cell links to the cells that it reads.
"""

import secrets
import time

from application.state import ADMISSION, PipelineRecord
from application.trace_context import TraceContext, begin, caller_of, span_id
from domain.grid import END, Cell
from domain.pipeline import PipelineState
from infrastructure.telemetry.job import JobUnderWay
from infrastructure.telemetry.traces import Spans, Value

ROOT, RETRY = "video_processing", "retry"


class MatchSpans:
    """Makes the spans of matches of what is told about them."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    def begin(self, pipeline_id: str, caller: str) -> TraceContext:
        place = begin(pipeline_id, caller)
        if TraceContext.parse(caller):
            return place
        return place._replace(sampled=self._spans.samples(place.trace_id))

    def submitted(self, record: PipelineRecord) -> None:
        if root := TraceContext.parse(record.traceparent):
            self._spans.give(
                "submit",
                root._replace(span_id=_any()),
                root.span_id,
                (record.submitted_at, time.time()),
                {**_facts(record), "footanalytics.priority": record.priority},
                kind="server",
            )

    def ended(self, record: PipelineRecord) -> None:
        root = TraceContext.parse(record.traceparent)
        if root is None:
            return
        first = record.attempt == 0
        place = root if first else root._replace(span_id=parent_of_jobs(record, root))
        self._spans.give(
            ROOT if first else RETRY,
            place,
            caller_of(record.pipeline_id, root) if first else root.span_id,
            (
                record.submitted_at if first else record.started_at or record.submitted_at,
                record.finished_at or time.time(),
            ),
            {**_facts(record), "footanalytics.state": record.state.value},
            error=record.error if record.state is PipelineState.FAILED else "",
        )

    def job(self, job: JobUnderWay, record: PipelineRecord) -> None:
        """A try at a job is over."""
        root = TraceContext.parse(record.traceparent)
        if root is None or not root.sampled:
            return
        times = (job.started_at, time.time())
        own = self._own_id(job, record)
        self._spans.give(
            _name(job),
            root._replace(span_id=own),
            parent_of_jobs(record, root),
            times,
            _facts(record) | _of_job(job),
            kind="consumer",
            links=_links(job, record),
            error=job.trouble,
        )
        if len(job.cells) > 1:
            self._cells(job, record, root._replace(span_id=own), times)

    def _own_id(self, job: JobUnderWay, record: PipelineRecord) -> str:
        """Only the try that is done is what its cell's followers point at."""
        if job.outcome != "done":
            return _any()
        if len(job.cells) == 1:
            return cell_span(record, job.cells[0])
        return span_id(record.pipeline_id, record.attempt, "job", job.lease.job)

    def _cells(
        self,
        job: JobUnderWay,
        record: PipelineRecord,
        place: TraceContext,
        times: tuple[float, float],
    ) -> None:
        """The cells of a pass share its time; what each took of it is an attribute."""
        for made in job.made:
            self._spans.give(
                made.cell.stage,
                place._replace(span_id=cell_span(record, made.cell)),
                place.span_id,
                times,
                {
                    "footanalytics.cell": str(made.cell),
                    "footanalytics.seconds": made.checkpoint.seconds,
                    "footanalytics.reused": made.reused,
                },
            )


def parent_of_jobs(record: PipelineRecord, root: TraceContext) -> str:
    """The root in the first attempt, the retry's span in a later one."""
    if record.attempt == 0:
        return root.span_id
    return span_id(record.pipeline_id, record.attempt, RETRY)


def cell_span(record: PipelineRecord, cell: Cell) -> str:
    return span_id(record.pipeline_id, record.attempt, cell)


def _facts(record: PipelineRecord) -> dict[str, Value]:
    return {"footanalytics.pipeline": record.pipeline_id, "footanalytics.attempt": record.attempt}


def _of_job(job: JobUnderWay) -> dict[str, Value]:
    facts: dict[str, Value] = {
        "footanalytics.job": job.lease.job,
        "footanalytics.queue": job.queue,
        "footanalytics.worker": job.worker,
        "footanalytics.token": job.lease.token,
        "footanalytics.failures": job.lease.failures,
        "footanalytics.losses": job.lease.losses,
        "footanalytics.outcome": job.outcome,
    }
    if job.cells:
        facts["footanalytics.cells"] = [str(cell) for cell in job.cells]
        facts["footanalytics.stages"] = [cell.stage for cell in job.cells]
        if job.cells[0].segment != END:
            facts["footanalytics.segment"] = job.cells[0].segment
    if job.made:
        facts["footanalytics.reused"] = [str(each.cell) for each in job.made if each.reused]
        facts["footanalytics.seconds"] = sum(each.checkpoint.seconds for each in job.made)
    return facts


def _name(job: JobUnderWay) -> str:
    """Few names, so that a trace store can tell kinds of jobs apart."""
    if job.lease.job == ADMISSION:
        return "admission"
    if not job.cells:
        return "job"
    if len(job.cells) > 1:
        return "pass"
    cell = job.cells[0]
    return f"{cell.stage} end" if cell.segment == END else cell.stage


def _links(job: JobUnderWay, record: PipelineRecord) -> list[str]:
    """What the cell reads; the last of them first, as there may be too many."""
    if job.task is None or len(job.cells) > 1:
        return []
    read = job.task.match.plan.requirements(job.cells[0])
    return [cell_span(record, cell) for cell in reversed(read)]


def _any() -> str:
    return secrets.token_hex(8)
