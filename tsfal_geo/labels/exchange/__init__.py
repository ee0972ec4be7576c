"""Import of labels from other programs, and export to them."""
