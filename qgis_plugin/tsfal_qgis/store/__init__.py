"""Workspaces, queries and labels, read and written through QGIS's providers."""
