"""Tests of bot/chat/bot_api."""
