"""Views: copies of the states of a projection in databases and files, refreshed and checked."""
