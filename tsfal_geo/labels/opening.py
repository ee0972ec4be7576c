"""The label store: one interface for the GeoPackages of a workspace and for a PostGIS schema."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tsfal_geo.classes import ClassMap
from tsfal_geo.errors import LabelError
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.raster.scene import Scene


def open_store(root: Path, classes: ClassMap, scenes: Sequence[Scene], url: str | None = None) -> LabelStore:
    """The label store of a workspace.

    Args:
        root: the workspace's folder.
        classes: the class map.
        scenes: the training scenes.
        url: ``postgresql://…`` for PostGIS; None for GeoPackages in the workspace.

    Raises:
        LabelError: another kind of URL.
        WorkspaceError: the database cannot be reached.
    """
    if url is None:
        from tsfal_geo.labels.gpkg_store import GeoPackageStore

        return GeoPackageStore(root, classes, scenes)
    if not url.startswith(("postgresql://", "postgres://")):
        raise LabelError(
            f"--store {url}: expected postgresql://[user@]host/database, or nothing for GeoPackages"
        )
    from tsfal_geo.labels.postgis_store import PostgisStore

    return PostgisStore(root, classes, scenes, url)
