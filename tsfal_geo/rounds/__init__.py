"""Rounds: train, inspect the chips, select queries, read the answers."""
