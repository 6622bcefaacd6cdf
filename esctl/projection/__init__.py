"""Fold rules and how they compile to SQL."""
