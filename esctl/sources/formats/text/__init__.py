"""Text logs: which lines are records, and what is in them."""
