"""The events themselves: log, types, entities, status, trace."""
