"""The results as users load them: Parquet tables, a summary, exchange formats, pictures."""

from typing import Any

from application.stage import StageResult, WholeMatch, WholeMatchStage
from domain.configuration import ExportOptions
from domain.tables import PUBLIC_TABLES
from stages.export import parquet
from stages.export.summary import summary


class ExportStage(WholeMatchStage[ExportOptions]):
    """Writes every public table that the plan makes, and what is made of them."""

    name = "export"
    version = 1
    optional_at_end = (*PUBLIC_TABLES, "video_frames")
    reads_pixels = True

    def conclude(self, match: WholeMatch, state: Any) -> StageResult:  # noqa: ARG002
        files = {
            f"{name}.parquet": parquet.write(match, name, match.workspace / f"{name}.parquet")
            for name in PUBLIC_TABLES
            if match.has(name)
        }
        text = summary(match, self.facts)
        files["summary.json"] = match.workspace / "summary.json"
        files["summary.json"].write_text(text, encoding="utf-8")
        return StageResult(files=files)
