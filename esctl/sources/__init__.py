"""Sources: bytes in, Arrow batches of records out."""
