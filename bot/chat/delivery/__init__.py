"""The outbox's way to the chat."""
