"""The history in MySQL: a copy of what SQLite holds, for people to query, as far behind as its server makes it."""
