"""Tests of bot/publish."""
