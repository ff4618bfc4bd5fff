"""The ball followed from frame to frame."""

from stages.ball_tracking.stage import BallTrackingStage

__all__ = ["BallTrackingStage"]
