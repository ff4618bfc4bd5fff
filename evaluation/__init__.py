"""Scores against truth. Nothing here knows a model: what needs one is passed in as a callable."""
