"""How the rows of tables are folded from changes of them."""
