"""The command line."""

import gc

gc.set_threshold(50_000, 20, 100)
"""What a command imports stays until it ends, so frequent garbage collection would search it for nothing."""
