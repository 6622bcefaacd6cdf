"""Index files: their manifest, sorting, writing and merging."""
