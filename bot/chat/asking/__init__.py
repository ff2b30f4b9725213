"""Commands and buttons as they arrive: access, limits, execution and answers (bot/chat/commands has the commands)."""
