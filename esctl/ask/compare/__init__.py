"""A system's own table against the state that the log implies."""
