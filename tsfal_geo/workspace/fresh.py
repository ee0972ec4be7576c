"""A workspace started over: the new generation is written first, and one rename lets it hold.

The rename is that of a folder with everything new into ``.fresh``, a journal. What follows it moves files
only, may be cut off anywhere and is done again by whoever takes the workspace's lock next.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tsfal_geo.atomic import sync, write_bytes, write_text

_STAGED = ".fresh-new"
_JOURNAL = ".fresh"
_PLAN = "plan.json"


def start_over(root: Path, files: Mapping[str, str], archived: str) -> Path:
    """Put a new generation of a workspace in the place of the one that is there.

    A process that dies on the way leaves the old generation before the rename, and the new one after it.

    Args:
        root: the workspace's folder; its lock is held.
        files: the new generation's own files, text by name.
        archived: pattern of the label files that go with the old rounds; all others stay.

    Returns:
        The folder under ``archive/`` that the old rounds are in.
    """
    staged = root / _STAGED
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    for name, text in files.items():
        write_text(staged / name, text)
    archive = _free(root / "archive" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}")
    plan = {"archive": archive.name, "files": list(files), "labels": archived}
    write_text(staged / _PLAN, json.dumps(plan))
    staged.rename(root / _JOURNAL)
    sync(root)
    finish(root)
    return archive


def pending(root: Path) -> bool:
    """Tell whether a fresh start was cut off after its rename.

    Args:
        root: the workspace's folder.
    """
    return (root / _JOURNAL).is_dir()


def finish(root: Path) -> None:
    """Do what is left of a fresh start; nothing where none was cut off.

    Args:
        root: the workspace's folder; its lock is held.
    """
    journal = root / _JOURNAL
    if not journal.is_dir():
        return
    if (journal / _PLAN).is_file():
        plan = json.loads((journal / _PLAN).read_text(encoding="utf-8"))
        archive = root / "archive" / plan["archive"]
        archive.mkdir(parents=True, exist_ok=True)
        for name in plan["files"]:
            _replace(journal / name, root / name, archive / name)
        if not (archive / "rounds").exists() and (root / "rounds").exists():
            (root / "rounds").rename(archive / "rounds")
        for path in (root / "labels").glob(plan["labels"]):
            path.replace(archive / path.name)
        for folder in ("labels", "rounds", "maps", "runs", "reference"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        sync(archive)
        sync(root)
        # Without its plan the journal is done: labels that come from now on are the new generation's.
        (journal / _PLAN).unlink()
    shutil.rmtree(journal)


def _replace(new: Path, current: Path, old: Path) -> None:
    """Move a new file to its place; the old one is copied first, so that there is one at any time."""
    if new.exists():
        if current.exists():
            write_bytes(old, current.read_bytes())
        new.replace(current)


def _free(path: Path) -> Path:
    """Return a path that nothing lies at: starts in one second get numbers."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
