"""Reports to outside watchers that the bot is alive."""
