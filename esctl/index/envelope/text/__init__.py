"""What a mapping says of text logs."""
