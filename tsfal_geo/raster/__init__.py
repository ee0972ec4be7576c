"""Rasters, without torch: discovery of scenes, reading of windows, decoding of labels, writing of maps."""
