"""The leaves of the tree: what is hashed of a record."""
