"""Public archives of past markets: readers for their files and every trap known in them (docs/archives.md)."""
