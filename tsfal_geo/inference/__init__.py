"""A trained model as a function from images to probabilities."""
