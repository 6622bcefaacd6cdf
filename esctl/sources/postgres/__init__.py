"""Changes in a PostgreSQL database, as its server streams them."""
