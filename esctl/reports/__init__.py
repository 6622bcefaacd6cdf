"""Findings and figures of verify, proofs, repair and compact as answers."""
