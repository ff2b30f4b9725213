"""The edge to Telegram's Bot API."""
