"""Networks: encoders, heads, the error mask decoder, their weights and files."""
