"""One question each: from a store and its bounds to an answer."""
