"""Schema version, metadata table and SQL quoting, below all other modules of the package."""

from __future__ import annotations

from tsfal_geo.errors import LabelError, WorkspaceError

SCHEMA = 1
GPKG_OPTIONS = {"VERSION": "1.3"}  # QGIS 3.22 warns about 1.4 each time it opens a file
META_TABLE = "tsfal_meta"


def quote(name: str) -> str:
    """Quote a name as an SQL identifier.

    Args:
        name: any text.
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text as an SQL string.

    Args:
        text: any text.
    """
    return "'" + text.replace("'", "''") + "'"


def check_schema(version: str | None, file: str) -> None:
    """Refuse a file of a newer schema. A file without a version is another program's, and may be read.

    Args:
        version: the schema version that the file declares; None: it declares none.
        file: name of the file, for the error.

    Raises:
        LabelError: the version is no number.
        WorkspaceError: the schema is newer than this program.
    """
    if version is not None and not version.isdecimal():
        raise LabelError(
            f"{file}: its label schema is {version!r}, expected a number such as {SCHEMA}; the file's "
            "metadata are damaged: restore it, or bring it in with `tsfal-geo labels import`"
        )
    if version is not None and int(version) > SCHEMA:
        raise WorkspaceError(
            f"{file}: label schema {version} is newer than this tsfal-geo supports ({SCHEMA}); "
            "upgrade tsfal-geo"
        )
