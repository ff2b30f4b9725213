"""Who is told of the core's events besides the chats: one file a sink, each a subscriber of `bot.core.events`."""
