"""Objects in object storage as sources: found by listing, kept in a file while they are read, and read as files are."""
