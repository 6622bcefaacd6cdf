"""The widgets, which Textual draws, and the keys and clicks that they take."""
