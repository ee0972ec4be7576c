"""Queries for annotators: budget, regions, ranking and strategies."""
