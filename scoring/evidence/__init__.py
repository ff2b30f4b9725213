"""What the score is worth against chance, net of costs: pure functions of a table of decisions (docs/evaluate.md)."""
