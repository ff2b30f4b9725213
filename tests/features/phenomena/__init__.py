"""Tests of features/phenomena."""
