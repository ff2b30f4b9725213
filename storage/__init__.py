"""The disk's edge: SQLite is the truth, MySQL the history that catches up from it."""
