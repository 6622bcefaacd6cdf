"""Raw bytes to exact JSON and typed rows."""
