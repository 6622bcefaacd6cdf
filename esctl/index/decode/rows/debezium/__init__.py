"""Debezium's changes, of all its databases and in all its forms."""
