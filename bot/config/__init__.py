"""The settings: their table, the object made of it, the documents printed from it."""
