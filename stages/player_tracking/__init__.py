"""Players, goalkeepers and referees followed from frame to frame."""

from stages.player_tracking.stage import PlayerTrackingStage

__all__ = ["PlayerTrackingStage"]
