"""One phenomenon a file: pure functions over plain arrays."""
