"""Bytes in, batches of records out."""
