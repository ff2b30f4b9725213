"""Tests of bot/watchdogs."""
