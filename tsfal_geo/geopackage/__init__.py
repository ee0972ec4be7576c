"""GeoPackages: created whole or not at all, appended to in one transaction, styled for QGIS."""
