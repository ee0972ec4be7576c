"""Rasters without torch: discovery, windows, label decoding, writing."""
