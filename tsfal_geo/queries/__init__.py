"""Queries: budget, regions, ranking, strategies."""
