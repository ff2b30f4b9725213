"""Tests of features/state."""
