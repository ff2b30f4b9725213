"""The venues' edge: everything that speaks HTTP to an exchange, and the arithmetic of doing so politely."""
