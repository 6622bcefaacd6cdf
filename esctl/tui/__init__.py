"""A terminal to walk through time, drawn by Textual (the extra `tui`), which nothing else imports."""
