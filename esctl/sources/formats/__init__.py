"""How bytes are cut into records, a module for each format, and how a format is detected."""
