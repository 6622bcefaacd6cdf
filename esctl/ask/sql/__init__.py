"""A user's own SQL over events and states."""
