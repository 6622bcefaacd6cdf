"""Questions answered in spans of entities, side by side: in processes, or in the tasks of an engine."""
