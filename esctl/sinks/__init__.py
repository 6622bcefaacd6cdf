"""Where states are kept outside the store: one protocol for all targets."""
