"""Rounds of the instant model."""
