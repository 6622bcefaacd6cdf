"""Tamper evidence: signed checkpoints, proofs, and what holds a store against them."""
