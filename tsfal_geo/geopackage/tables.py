"""The metadata and the SQL that every GeoPackage of this project shares."""

from __future__ import annotations

from tsfal_geo.errors import WorkspaceError

SCHEMA = 1
GPKG_OPTIONS = {"VERSION": "1.3"}  # QGIS 3.22 warns about 1.4 each time it opens a file
META_TABLE = "tsfal_meta"


def quote(name: str) -> str:
    """An SQL identifier, whatever the name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string, whatever the text."""
    return "'" + text.replace("'", "''") + "'"


def check_schema(version: str | None, file: str) -> None:
    """Refuse a file of a newer schema; a file without one is from elsewhere, and read for what it has.

    Raises:
        WorkspaceError: the schema is newer than this program.
    """
    if version is not None and int(version) > SCHEMA:
        raise WorkspaceError(
            f"{file}: label schema {version} is newer than this tsfal-geo knows ({SCHEMA}); upgrade tsfal-geo"
        )
