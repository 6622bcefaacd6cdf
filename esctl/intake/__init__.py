"""From sources to a committed and indexed log: in a batch or following."""
