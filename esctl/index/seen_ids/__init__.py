"""Ids seen before: duplicates and conflicts."""
