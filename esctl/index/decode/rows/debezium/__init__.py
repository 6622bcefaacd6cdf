"""Changes as Debezium tells them, for all its databases and in all its forms."""
