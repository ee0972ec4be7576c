"""Wall-to-wall prediction."""
