"""What Textual draws and hears."""
