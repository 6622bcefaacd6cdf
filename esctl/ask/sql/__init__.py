"""SQL of a user's own over events and states."""
