"""Tests of bot/chat/texts."""
