"""Bundles of evidence: records with their proofs, and what they replay to, in one file that is checked anywhere."""
