"""The contents of a workspace: its files, queries, labels and decisions, read and written through QGIS."""
