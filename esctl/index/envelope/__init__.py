"""Find and read the envelope of records: id, type, time, entity, actor, ..."""
