"""Find which fields of a sample are its envelope: by their names, their values, and how values go together."""
