"""`esctl browse`: a walk through time in a terminal, drawn by Textual (the extra `tui`), which nothing else imports."""
