"""The tables of the paper, and comparisons of one's own."""
