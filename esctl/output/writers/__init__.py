"""One module for each format that an answer is written in, and what some of them share."""
