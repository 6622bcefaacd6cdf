"""Bytes in, Arrow batches of records out."""
