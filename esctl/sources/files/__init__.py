"""Files and stdin as sources: finding, opening, recognising and following them."""
