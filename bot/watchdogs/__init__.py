"""Outside watchers that are told that the bot is alive."""
