"""A system's own table compared with the state that the log implies."""
