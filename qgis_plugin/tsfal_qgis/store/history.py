"""Changes of label layers, saved one by one, with an undo that reaches back over what is saved.

QGIS empties its own undo stack whenever a layer is saved, and here every change is saved at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from qgis.core import QgsFeature, QgsFeatureRequest, QgsRectangle, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, pyqtSignal

from .shapes import LabelRejected


class Row:
    """A row of a layer, followed while it is removed and added again.

    Attributes:
        layer: the layer.
        feature: a copy of the feature.
        fid: the present id of the feature; it changes when the row is added again.
    """

    def __init__(self, layer: QgsVectorLayer, feature: QgsFeature) -> None:
        self.layer = layer
        self.feature = QgsFeature(feature)
        self.fid = feature.id()


@dataclass(frozen=True)
class Change:
    """Rows that are added and removed together.

    Attributes:
        added: the new rows.
        removed: the rows that they replace.
        qids: the queries that the change answers; none for a label outside every query.
    """

    added: tuple[Row, ...] = ()
    removed: tuple[Row, ...] = ()
    qids: tuple[str, ...] = ()


class SaveProblem(Exception):
    """The reason why rows were not saved; no row was changed."""


class History(QObject):
    """The stack of saved changes, and the stack of those that were undone."""

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._done: list[Change] = []
        self._undone: list[Change] = []
        self._present: dict[tuple[str, int], Row] = {}

    @property
    def can_undo(self) -> bool:
        """True if there is a change to undo."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """True if there is a change to redo."""
        return bool(self._undone)

    def apply(self, change: Change) -> None:
        """Make and save a change.

        Args:
            change: the rows to add and to remove.

        Raises:
            SaveProblem: the store rejected the change; no row was changed.
        """
        # A row that an earlier change added is removed as that very row: an undo gives it another id, which
        # the earlier change must know when its turn comes.
        removed = tuple(self._present.get(_key(row), row) for row in change.removed)
        change = replace(change, removed=removed)
        self._save(change.added, change.removed)
        self._done.append(change)
        self._undone.clear()
        self.changed.emit()

    def undo(self) -> Change | None:
        """Undo the last change and save.

        Returns:
            The change; None if there was none.

        Raises:
            SaveProblem: the store rejected it; no row was changed.
        """
        return self._move(self._done, self._undone, back=True)

    def redo(self) -> Change | None:
        """Redo the change that was undone last and save.

        Returns:
            The change; None if there was none.

        Raises:
            SaveProblem: the store rejected it; no row was changed.
        """
        return self._move(self._undone, self._done, back=False)

    def _move(self, source: list[Change], target: list[Change], back: bool) -> Change | None:
        if not source:
            return None
        change = source[-1]
        self._save(*((change.removed, change.added) if back else (change.added, change.removed)))
        target.append(source.pop())
        self.changed.emit()
        return change

    def _save(self, added: Sequence[Row], removed: Sequence[Row]) -> None:
        gone = [_key(row) for row in removed]
        _apply(added, removed)
        for key in gone:
            self._present.pop(key, None)
        self._present.update((_key(row), row) for row in added)


def _key(row: Row) -> tuple[str, int]:
    return row.layer.id(), row.fid


def saved(act: Callable[[], Change | None], prefix: str) -> Change | None:
    """Make a change, and give the annotator the reason if it is not saved.

    Args:
        act: makes the change.
        prefix: first words of the reason.

    Returns:
        What ``act`` returns.

    Raises:
        LabelRejected: the store rejected the change; no row was changed.
    """
    try:
        return act()
    except SaveProblem as problem:
        raise LabelRejected(f"{prefix}: {problem}") from None


def commit(layer: QgsVectorLayer) -> list[int]:
    """Save a layer and keep its edit session open.

    Args:
        layer: a layer in an edit session.

    Returns:
        The ids of the new features.

    Raises:
        SaveProblem: the store rejected the edits, which stay in the edit session.
    """
    fids: list[int] = []

    def committed(_: str, features: list[QgsFeature]) -> None:
        fids.extend(feature.id() for feature in features)

    layer.committedFeaturesAdded.connect(committed)
    try:
        if layer.commitChanges(False):
            return fids
        reasons = [line.strip() for line in layer.commitErrors() if line.strip()]
    finally:
        layer.committedFeaturesAdded.disconnect(committed)
    raise SaveProblem("; ".join(reasons[-2:]) or f"{layer.name()} could not be saved")


def find_rows(layer: QgsVectorLayer, expression: str, within: QgsRectangle | None = None) -> list[Row]:
    """Find the rows of a layer for which an expression is true.

    Args:
        layer: the layer.
        expression: a QGIS expression over the fields.
        within: only rows whose bounding boxes touch this one, in the layer's CRS; None: all.

    Returns:
        Copies of the rows, in the layer's order.
    """
    request = QgsFeatureRequest().setFilterExpression(expression)
    if within is not None:
        request.setFilterRect(within)
    return [Row(layer, feature) for feature in layer.getFeatures(request)]


def _apply(added: Sequence[Row], removed: Sequence[Row]) -> None:
    """Save layer by layer; if one layer rejects its rows, the layers saved before are restored."""
    finished: list[tuple[QgsVectorLayer, list[Row], list[Row]]] = []
    for layer in dict.fromkeys(row.layer for row in (*added, *removed)):
        new = [row for row in added if row.layer is layer]
        old = [row for row in removed if row.layer is layer]
        try:
            _save(layer, new, old)
        except SaveProblem:
            for saved_layer, saved_new, saved_old in reversed(finished):
                _save(saved_layer, saved_old, saved_new)
            raise
        finished.append((layer, new, old))


def _save(layer: QgsVectorLayer, added: Sequence[Row], removed: Sequence[Row]) -> None:
    if not layer.isEditable() and not layer.startEditing():
        raise SaveProblem(f"{layer.name()} cannot be edited; is its file writable?")
    if layer.isModified():
        # Edits of QGIS's own tools are saved first, so that the rollback below drops our change alone.
        commit(layer)
    existing = {row.fid for row in removed if layer.getFeature(row.fid).isValid()}
    layer.beginEditCommand("tsfal")
    layer.deleteFeatures(list(existing))
    for row in added:
        feature = QgsFeature(row.feature)
        _clear_primary_key(layer, feature)
        layer.addFeature(feature)
    layer.endEditCommand()
    try:
        fids = commit(layer)
    except SaveProblem:
        layer.rollBack()
        layer.startEditing()
        raise
    # QGIS reports the new ids in the order in which the rows were added.
    for row, fid in zip(added, fids[-len(added) :] if added else []):
        row.fid = fid


def _clear_primary_key(layer: QgsVectorLayer, feature: QgsFeature) -> None:
    # A row that was saved before would ask for its old id.
    for index in layer.primaryKeyAttributes():
        feature.setAttribute(index, layer.dataProvider().defaultValueClause(index) or None)
