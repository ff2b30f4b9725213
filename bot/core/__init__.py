"""The tick and what it keeps: no HTML, no Telegram, no HTTP."""
