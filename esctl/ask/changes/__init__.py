"""What changed: diff, audit, blame, revert."""
