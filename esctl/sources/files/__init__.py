"""Files and stdin as sources: found, opened, recognised, followed."""
