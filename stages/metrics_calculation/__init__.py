"""What players and teams did, in numbers with their uncertainty."""

from stages.metrics_calculation.stage import MetricsCalculationStage

__all__ = ["MetricsCalculationStage"]
