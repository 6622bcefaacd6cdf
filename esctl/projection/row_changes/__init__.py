"""How the rows of tables are folded from their changes."""
