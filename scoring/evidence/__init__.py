"""The worth of the score against chance, net of costs: pure functions of a table of decisions (docs/evaluate.md)."""
