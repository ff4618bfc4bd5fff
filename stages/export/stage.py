"""The results as users load them: Parquet tables, a summary, exchange formats, pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from application.stage import StageResult, WholeMatch, WholeMatchStage
from domain.configuration import ExportOptions
from domain.tables import PUBLIC_TABLES
from stages import periods as match_time
from stages.export import annotated_video, common_data_format, parquet, second_spectrum
from stages.export.concluded import Concluded
from stages.export.positions import Positions
from stages.export.rows import frames_table
from stages.export.summary import Exported, summary
from stages.shots import Gaps

_WRITERS = {"second_spectrum": second_spectrum.write, "cdf": common_data_format.write}


class ExportStage(WholeMatchStage[ExportOptions]):
    """Writes every public table that the plan makes, and what is made of them."""

    name: ClassVar[str] = "export"
    version: ClassVar[int] = 6
    optional_at_end: ClassVar[tuple[str, ...]] = (
        *PUBLIC_TABLES,
        "video_frames",
        "periods",
        "shots",
        "pitch_size",
    )
    knows_at_end: ClassVar[tuple[str, ...]] = ("periods", "kits", "details")
    reads_pixels: ClassVar[bool] = True

    def conclude(self, match: WholeMatch, state: Any) -> StageResult:  # noqa: ARG002
        match = Concluded(match, match_time.read(match, self.facts), Gaps.read(match))
        exported = Exported()
        files = {
            f"{name}.parquet": parquet.write(match, name, match.workspace / f"{name}.parquet")
            for name in PUBLIC_TABLES
            if match.has(name)
        }
        positions = self._positions(match)
        files |= self._exchange(match, positions, exported)
        files |= self._pictures(match, positions, exported)
        exported.written = sorted(set(files) - {f"{name}.parquet" for name in PUBLIC_TABLES})
        files["summary.json"] = match.workspace / "summary.json"
        files["summary.json"].write_text(summary(match, self.facts, exported), encoding="utf-8")
        return StageResult(files=files)

    def _positions(self, match: WholeMatch) -> Positions | None:
        """Where players of known teams are, or None where nothing tells."""
        if not (frames_table(match) and match.has("tracks") and match.has("identities")):
            return None
        known = match_time.read(match, self.facts)
        positions = Positions(match, self.facts.pitch, known, self.facts.details)
        return positions if positions.count else None

    def _exchange(
        self, match: WholeMatch, positions: Positions | None, exported: Exported
    ) -> Mapping[str, Path]:
        files: dict[str, Path] = {}
        for name in self.options.formats:
            if positions is None:
                exported.left_out[name] = "no player of a known team has a place on the pitch"
            else:
                files |= _WRITERS[name](positions, self.facts, match.workspace)
        return files

    def _pictures(
        self, match: WholeMatch, positions: Positions | None, exported: Exported
    ) -> Mapping[str, Path]:
        """The annotated video and the report, as far as they are asked for."""
        files: dict[str, Path] = {}
        stills: Mapping[float, bytes] = {}
        if self.options.annotated_video:
            path = match.workspace / "annotated.mp4"
            written = self._video(match, path)
            stills = written.stills
            if written.frames:
                files["annotated.mp4"] = path
            else:
                exported.left_out["annotated_video"] = "the input has no pictures"
        if self.options.report:
            from stages.export import report, report_data

            data = report_data.gather(match, self.facts, positions)
            files["report.html"] = match.workspace / "report.html"
            files["report.html"].write_text(report.page(data, stills), encoding="utf-8")
        return files

    def _video(self, match: WholeMatch, path: Path) -> annotated_video.Annotated:
        still_frames: set[int] = set()
        if self.options.report:
            from stages.export import report_data

            still_frames = report_data.still_frames(match)
        return annotated_video.write(
            match, self.facts, path, radar=self.options.radar, still_frames=still_frames
        )
