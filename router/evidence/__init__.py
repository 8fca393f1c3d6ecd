"""What was seen of both sides, whether it was the same, and what follows from it."""
