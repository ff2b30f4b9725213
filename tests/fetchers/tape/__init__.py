"""Tests of fetchers/tape."""
