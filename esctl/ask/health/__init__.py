"""What is wrong with a log: doctor and its checks."""
