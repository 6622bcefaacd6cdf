"""Reports: what happened to some entities, and the records of it, as one HTML page that checks them by itself."""
