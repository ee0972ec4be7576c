"""Error mask decoder and pseudo-label auto-refinement (PLAR)."""
