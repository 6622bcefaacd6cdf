"""What esctl understands of the evidence: typed, sorted, rebuildable."""
