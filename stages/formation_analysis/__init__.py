"""The shape in which each team stands, window by window."""

from stages.formation_analysis.stage import FormationAnalysisStage

__all__ = ["FormationAnalysisStage"]
