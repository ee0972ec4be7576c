"""Copying a workspace while people are working in it.

A GeoPackage that is being edited has more files beside it (``-wal``, ``-journal``); copying the first alone
loses what was committed last. SQLite's own backup takes what is committed, in one piece.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from tsfal_geo.errors import WorkspaceError
from tsfal_geo.geopackage.connection import reading
from tsfal_geo.workspace.folder import WorkspaceFolder

_PARTS = ("-wal", "-shm", "-journal")


def copy_workspace(source: Path, destination: Path) -> int:
    """Copy a workspace, whole or not at all.

    Args:
        source: the workspace.
        destination: a folder that does not exist yet.

    Returns:
        Number of files copied.

    Raises:
        WorkspaceError: there is no workspace; the destination exists or lies inside the source.
        LabelError: a GeoPackage is damaged.
    """
    if destination.exists():
        raise WorkspaceError(f"{destination}: exists already; name a folder that does not")
    if destination.resolve().is_relative_to(source.resolve()):
        raise WorkspaceError(f"{destination}: lies inside the workspace; name a folder outside {source}")
    state = WorkspaceFolder.open(source).state
    destination.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with tempfile.TemporaryDirectory(prefix=f".{destination.name}-", dir=destination.parent) as folder:
        temporary = Path(folder) / destination.name
        for path in sorted(source.rglob("*")):
            relative = path.relative_to(source)
            if _passing(relative):
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
    # Orthophotos lie outside, named relative to the folder: the copy's own paths to them are written anew.
    WorkspaceFolder(destination, state).save(state)
    return count


def copy_geopackage(source: Path, target: Path) -> None:
    """Everything committed in ``source``, its write-ahead log included, as one file."""
    with reading(source) as connection, closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def _passing(relative: Path) -> bool:
    hidden = any(part.startswith(".") for part in relative.parts)
    return hidden or relative.name.endswith(tuple(f".gpkg{part}" for part in _PARTS))
