"""Where a store's files are: what may be in it, its rights, and every call that changes it."""
