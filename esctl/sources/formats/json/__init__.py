"""JSON text: found, asked and written."""
