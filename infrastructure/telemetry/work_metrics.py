"""What workers count. The processes of one worker share files, which its first process serves."""

import os
import shutil
import tempfile
from pathlib import Path

from application.state import PipelineRecord
from infrastructure.telemetry.job import JobUnderWay

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_STAGE_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
_MATCH_BUCKETS = (60, 300, 900, 1800, 3600, 7200, 14400, 43200)


def of_this_process() -> "WorkMetrics | None":
    """None where no work is done here, or not counted."""
    return _here[0] if _here else None


def share() -> Path:
    """Give the processes that are started from here on a folder for their numbers.

    Call it before prometheus_client is imported, which looks for the folder then.
    """
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="footanalytics-metrics-")
        _made.append(Path(os.environ[FOLDER]))
    return Path(os.environ[FOLDER])


def forget() -> None:
    """Remove the folder, if `share` made it."""
    if _made:
        shutil.rmtree(_made.pop(), ignore_errors=True)


class WorkMetrics:
    """The numbers of one process; make them by `here`."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self.registry = own = CollectorRegistry()
        self.jobs = Counter(
            "footanalytics_jobs", "tries at jobs, by outcome", ["queue", "outcome"], registry=own
        )
        self.errors = Counter(
            "footanalytics_errors", "failed tries at jobs", ["stage", "kind"], registry=own
        )
        self.stage_seconds = Histogram(
            "footanalytics_stage_seconds",
            "seconds that a cell took, without cells that were known already",
            ["stage", "part"],
            buckets=_STAGE_BUCKETS,
            registry=own,
        )
        self.stage_frames = Counter(
            "footanalytics_stage_frames", "frames of the cells done", ["stage"], registry=own
        )
        self.frames = Counter(
            "footanalytics_frames", "frames through all stages of a pass", registry=own
        )
        self.renewals = Counter(
            "footanalytics_lease_renewals", "leases to be renewed", ["outcome"], registry=own
        )
        self.matches = Counter(
            "footanalytics_matches_ended", "matches that ended", ["state"], registry=own
        )
        self.match_seconds = Histogram(
            "footanalytics_match_seconds",
            "seconds from the submission of a match to its completion",
            buckets=_MATCH_BUCKETS,
            registry=own,
        )
        for outcome in ("renewed", "ended", "unanswered"):
            self.renewals.labels(outcome)

    @classmethod
    def here(cls) -> "WorkMetrics":
        """Those of this process."""
        if not _here:
            _here.append(cls())
        return _here[0]

    def job(self, job: JobUnderWay) -> None:
        """A try at a job is over."""
        self.jobs.labels(job.queue, job.outcome).inc()
        if job.error:
            self.errors.labels(job.stage, type(job.error).__name__).inc()
        for cell, checkpoint, reused in job.made:
            if not reused and job.task:
                plan = job.task.match.plan
                inside = cell.segment >= 0
                part = "segment" if inside else "end"
                self.stage_seconds.labels(cell.stage, part).observe(checkpoint.seconds)
                if inside:
                    segment = plan.segments[cell.segment]
                    self.stage_frames.labels(cell.stage).inc(segment.end - segment.first)

    def ended(self, record: PipelineRecord) -> None:
        """A match ended; one that a client cancels is not seen by any worker."""
        self.matches.labels(record.state.value).inc()
        if record.state == "completed" and record.finished_at:
            self.match_seconds.observe(max(record.finished_at - record.submitted_at, 0.0))


_here: list[WorkMetrics] = []
_made: list[Path] = []
