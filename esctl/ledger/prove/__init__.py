"""Proofs of single records, made and judged."""
