"""The layers of a workspace in the QGIS project, and their styles."""
