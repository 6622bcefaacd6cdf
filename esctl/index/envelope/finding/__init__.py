"""Which fields of a sample of records are its envelope: by their names, their values, and how values go together."""
