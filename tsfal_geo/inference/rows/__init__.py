"""Networks that process an image row by row, in memory that does not grow with its height."""
