"""Who may say what to the bot in Telegram, and how its answers get there; bot/chat/commands makes them."""
