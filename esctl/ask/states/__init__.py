"""States of entities: replay and the ways to fold."""
