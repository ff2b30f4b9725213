"""From a reply's bytes to checked records, alike for all venues."""
