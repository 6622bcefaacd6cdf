"""What is sent to others: events, states and compensations, as messages that can be held against the log."""
