"""The market over time, in arrays."""
