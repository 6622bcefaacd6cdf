"""What a mapping says about text logs."""
