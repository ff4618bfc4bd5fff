"""Events on the pitch from tracks and ball: possession, passes, shots, the ball out of play."""

from stages.event_detection.stage import EventDetectionStage

__all__ = ["EventDetectionStage"]
