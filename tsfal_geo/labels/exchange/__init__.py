"""Labels from and for other programs."""
