"""Where a record keeps its id, type, time, entity and actor."""
