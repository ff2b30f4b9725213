"""Hypothesis without a time limit for one example: the machines that run this are shared."""

from hypothesis import settings

settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
