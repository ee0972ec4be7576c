"""Tables of Ma, Karakus, Rosin 2025, on the paper's data or on any rasters."""
