"""Metrics and accuracy."""
