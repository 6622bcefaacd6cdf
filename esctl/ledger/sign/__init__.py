"""Keys, signed checkpoints, time stamps and the heads last seen."""
