"""The one place that chooses a label store's implementation, so that the interface knows none of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tsfal_geo.classes import ClassMap
from tsfal_geo.errors import LabelError, require_extra
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.raster.scene import Scene


def open_store(root: Path, classes: ClassMap, scenes: Sequence[Scene], url: str | None = None) -> LabelStore:
    """Open the label store of a workspace.

    Args:
        root: the workspace's folder.
        classes: the class map.
        scenes: the training scenes.
        url: ``postgresql://…`` for PostGIS; None for GeoPackages in the workspace.

    Raises:
        LabelError: another kind of URL.
        UserError: PostGIS is asked for and psycopg is not installed.
        WorkspaceError: the database does not answer.
    """
    if url is None:
        from tsfal_geo.labels.gpkg_store import GeoPackageStore

        return GeoPackageStore(root, classes, scenes)
    if not url.startswith(("postgresql://", "postgres://")):
        raise LabelError(
            f"--store {url}: expected postgresql://[user@]host/database, or nothing for GeoPackages"
        )
    require_extra("psycopg", "postgis", "--store postgresql://…")
    from tsfal_geo.labels.postgis_store import PostgisStore

    return PostgisStore(root, classes, scenes, url)
