"""The panel with its pages, the runs of the engine that it shows, and the page in QGIS's options."""
