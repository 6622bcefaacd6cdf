"""The files of saved states."""
