"""`check --deep`: every call that the bot makes of a venue, made once and compared with what is expected of it."""
