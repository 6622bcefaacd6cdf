"""Questions answered in spans of entities, in parallel: by processes, or by the tasks of an engine."""
