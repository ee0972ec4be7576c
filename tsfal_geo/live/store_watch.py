"""The label store and the rounds of a workspace, read again only where they changed."""

from __future__ import annotations

from pathlib import Path

from tsfal_geo.labels.effort import measure_effort
from tsfal_geo.labels.model import LabelSnapshot
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.workspace.folder import WorkspaceFolder
from tsfal_geo.workspace.state import INDEX


class StoreWatch:
    """Sees that somebody committed labels, in a file or in a database.

    Args:
        store: the workspace's.

    Attributes:
        answered: qids with an answer or a decision.
        answers: number of answers of all people.
    """

    def __init__(self, store: LabelStore) -> None:
        self._store = store
        self._version: object = None
        self._snapshot: LabelSnapshot | None = None
        self.answered: frozenset[str] = frozenset()
        self.answers = 0

    def changed(self) -> LabelSnapshot | None:
        """Return the labels that hold, if anything was committed since the last call; else None."""
        version = self._store.version()
        if version == self._version:
            return None
        # The version is read before the rows: a commit between the two is seen by the next call.
        self._version = version
        snapshot = self._store.snapshot()
        self.answered = snapshot.answered
        self.answers = measure_effort(snapshot, self._store.scenes).answers
        return snapshot


class RoundWatch:
    """Sees that a training has completed a round.

    Args:
        root: the workspace's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: tuple[int, int] | None = None
        self._number = -1

    def number(self) -> int:
        """Return the last complete round; the file that names it is read where it changed."""
        stat = (self._root / INDEX).stat()
        seen = (stat.st_mtime_ns, stat.st_size)
        if seen != self._seen:
            self._number, _ = WorkspaceFolder.read_progress(self._root)
            self._seen = seen
        return self._number
