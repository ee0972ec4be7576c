"""The public API: a workspace and everything that can be done with it."""
