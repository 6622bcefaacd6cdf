"""Objects in object storage as sources: found by listing, fetched into a file, and read as files are."""
