"""Changes of a PostgreSQL database, as its server streams them."""
