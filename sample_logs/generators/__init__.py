"""The generators of the sample logs, one module each."""
