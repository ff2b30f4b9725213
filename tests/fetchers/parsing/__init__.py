"""Tests of fetchers/parsing."""
