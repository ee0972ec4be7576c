"""The folder of the maps that a session shows."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

_KEPT = 12
"""Maps that are kept: those of the last three changes, with up to four scenes in view."""


class ViewFolder:
    """A session's own folder below ``live/`` in the workspace; folders of sessions that died are removed.

    Args:
        folder: of all sessions.
    """

    def __init__(self, folder: Path) -> None:
        self._number = 0
        for path in folder.glob("*/.lock"):
            with suppress(Timeout), FileLock(path, timeout=0):
                shutil.rmtree(path.parent, ignore_errors=True)
        folder.mkdir(exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="session-", dir=folder))
        self._lock = FileLock(self._folder / ".lock", timeout=0)
        self._lock.acquire()

    def next(self) -> Path:
        """Return the path of the next map; the one of twelve maps ago is removed."""
        self._number += 1
        (self._folder / f"{self._number - _KEPT}.tif").unlink(missing_ok=True)
        return self._folder / f"{self._number}.tif"

    def remove(self) -> None:
        """Remove the folder with its maps."""
        self._lock.release()
        shutil.rmtree(self._folder, ignore_errors=True)
