"""Events, states and compensations as messages to others, which can be checked against the log."""
