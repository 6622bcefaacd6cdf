"""What an answer counts: bounds, basis, two clocks, what-if, notes."""
