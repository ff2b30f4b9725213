"""The tape: everything that the ticks took in, on disk, and the market played again from it (docs/tape.md)."""
