"""Decisions: pure functions of features, limits, settings and the time passed in."""
