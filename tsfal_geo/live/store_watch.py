"""The label store of a workspace, read again only where it changed."""

from __future__ import annotations

from tsfal_geo.labels.effort import measure_effort
from tsfal_geo.labels.model import LabelSnapshot
from tsfal_geo.labels.store import LabelStore


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
