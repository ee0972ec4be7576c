"""GeoPackages: made whole, appended to in one transaction, styled for QGIS."""
