"""Tamper evidence: signed checkpoints, proofs, and checks of a store against them."""
