"""Tests of fetchers/transport."""
