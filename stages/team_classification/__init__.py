"""Who belongs together: teams by shirt colour, keepers and referees by role and place."""

from stages.team_classification.stage import TeamClassificationStage

__all__ = ["TeamClassificationStage"]
