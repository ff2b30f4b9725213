"""The process: wiring, the tick, the phone and the web."""
