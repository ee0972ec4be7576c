"""Networks that see an image row by row."""
