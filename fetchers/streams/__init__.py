"""The venues' public trade streams (docs/streams.md)."""
