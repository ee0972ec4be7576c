"""A trained model as a function on images."""
