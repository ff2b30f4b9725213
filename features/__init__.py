"""Market facts and what can be computed from them: numpy only, no clock, no I/O."""
