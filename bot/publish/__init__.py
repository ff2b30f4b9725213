"""Sinks of the core's events besides the chats: one file each, each a subscriber of `bot.core.events`."""
