"""JSON text: scanning, checking and writing it."""
