"""Between the applications and their provider: records for the primary of an exchange, replays to its shadow."""
