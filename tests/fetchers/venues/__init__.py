"""Tests of fetchers/venues."""
