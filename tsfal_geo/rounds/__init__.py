"""Error masks, PLAR, queries, the round loop."""
