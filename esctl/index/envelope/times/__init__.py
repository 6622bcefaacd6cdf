"""How the times of a source are written: what the mapping says, and what its records show."""
