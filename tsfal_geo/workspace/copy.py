"""Copies of a workspace, also while annotators edit its labels.

A GeoPackage in an edit session has files beside it (``-wal``, ``-journal``), and a copy of the first file
alone lacks the last commits. SQLite's own backup copies everything that is committed, as of one moment.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from tsfal_geo.errors import WorkspaceError
from tsfal_geo.geopackage.connection import reading
from tsfal_geo.workspace.folder import FEATURES, LIVE, WorkspaceFolder

_SQLITE_SUFFIXES = ("-wal", "-shm", "-journal")


def copy_workspace(source: Path, destination: Path) -> int:
    """Copy a workspace, whole or not at all.

    Args:
        source: the workspace's folder.
        destination: a folder that does not exist yet.

    Returns:
        Number of files copied.

    Raises:
        WorkspaceError: the source is no workspace; the destination exists or lies inside the source.
        LabelError: a GeoPackage is damaged.
    """
    if destination.exists():
        raise WorkspaceError(f"{destination}: exists already, expected a new folder; name another")
    if destination.resolve().is_relative_to(source.resolve()):
        raise WorkspaceError(f"{destination}: lies inside the workspace; name a folder outside {source}")
    state = WorkspaceFolder.open(source).state
    destination.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with tempfile.TemporaryDirectory(prefix=f".{destination.name}-", dir=destination.parent) as folder:
        temporary = Path(folder) / destination.name
        for path in sorted(source.rglob("*")):
            relative = path.relative_to(source)
            if _is_transient(relative):
                continue
            target = temporary / relative
            if path.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix.lower() == ".gpkg":
                copy_geopackage(path, target)
            else:
                shutil.copy2(path, target)
            count += 1
        temporary.rename(destination)
    # Orthophotos lie outside the workspace, and their paths are relative to it: the copy needs its own.
    WorkspaceFolder(destination, state).save(state)
    return count


def copy_geopackage(source: Path, target: Path) -> None:
    """Copy everything that is committed in a GeoPackage, its write-ahead log included, to one file.

    Args:
        source: the GeoPackage; annotators may have it open.
        target: a file that does not exist yet.

    Raises:
        LabelError: the GeoPackage is damaged.
    """
    with reading(source) as connection, closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def _is_transient(relative: Path) -> bool:
    hidden = any(part.startswith(".") for part in relative.parts)
    # Features are large, and the next round makes them again; live sessions' maps are gone with them.
    cached = relative.parts[0] in (FEATURES, LIVE)
    return hidden or cached or relative.name.endswith(tuple(f".gpkg{suffix}" for suffix in _SQLITE_SUFFIXES))
