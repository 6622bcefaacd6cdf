"""The evidence: segments, commits and the tree over them."""
