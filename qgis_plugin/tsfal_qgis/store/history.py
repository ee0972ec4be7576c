"""What a person did, row by row, so that it can be taken back and done again after it was saved.

QGIS empties its own undo stack whenever a layer is saved, and here every polygon is saved at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qgis.core import QgsFeature, QgsFeatureRequest, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, pyqtSignal


class Row:
    """A row of a layer; keeps its number while it is removed and added again."""

    def __init__(self, layer: QgsVectorLayer, feature: QgsFeature) -> None:
        self.layer = layer
        self.feature = QgsFeature(feature)
        self.fid = feature.id()


@dataclass(frozen=True)
class Change:
    """Rows that came and rows that went, together; ``qid`` is the query that it was about, if any."""

    added: tuple[Row, ...] = ()
    removed: tuple[Row, ...] = ()
    qid: str | None = None


class SaveProblem(Exception):
    """Why rows were not saved; nothing was changed."""


class History(QObject):
    """Changes that are saved as they are made, and the way back."""

    changed = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._done: list[Change] = []
        self._undone: list[Change] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is anything to do again."""
        return bool(self._undone)

    def do(self, change: Change) -> None:
        """Make and save a change.

        Raises:
            SaveProblem: the store refused it; nothing was changed.
        """
        _apply(change.added, change.removed)
        self._done.append(change)
        self._undone.clear()
        self.changed.emit()

    def undo(self) -> Change | None:
        """Take the last change back and save; None: there was none.

        Raises:
            SaveProblem: the store refused; nothing was changed.
        """
        return self._turn(self._done, self._undone, back=True)

    def redo(self) -> Change | None:
        """Make the change that was taken back last again; None: there was none.

        Raises:
            SaveProblem: the store refused; nothing was changed.
        """
        return self._turn(self._undone, self._done, back=False)

    def _turn(self, source: list[Change], target: list[Change], back: bool) -> Change | None:
        if not source:
            return None
        change = source[-1]
        _apply(*((change.removed, change.added) if back else (change.added, change.removed)))
        target.append(source.pop())
        self.changed.emit()
        return change


def _apply(added: Sequence[Row], removed: Sequence[Row]) -> None:
    finished: list[tuple[Sequence[Row], Sequence[Row]]] = []
    for layer in dict.fromkeys(row.layer for row in (*added, *removed)):
        coming = [row for row in added if row.layer is layer]
        going = [row for row in removed if row.layer is layer]
        try:
            _save(layer, coming, going)
        except SaveProblem:
            for earlier_coming, earlier_going in reversed(finished):
                _save(
                    earlier_coming[0].layer if earlier_coming else earlier_going[0].layer,
                    earlier_going,
                    earlier_coming,
                )
            raise
        finished.append((coming, going))


def _save(layer: QgsVectorLayer, coming: Sequence[Row], going: Sequence[Row]) -> None:
    if not layer.isEditable() and not layer.startEditing():
        raise SaveProblem(f"{layer.name()} cannot be edited; is its file writable?")
    if layer.isModified():
        # What other tools drew is saved by itself, or else kept: only our own change may be dropped below.
        commit(layer)
    there = {row.fid for row in going if layer.getFeature(row.fid).isValid()}
    new: list[QgsFeature] = []
    layer.beginEditCommand("tsfal")
    layer.deleteFeatures(list(there))
    for row in coming:
        feature = QgsFeature(row.feature)
        _forget_number(layer, feature)
        layer.addFeature(feature)
        new.append(feature)
    layer.endEditCommand()
    try:
        numbers = commit(layer)
    except SaveProblem:
        layer.rollBack()
        layer.startEditing()
        raise
    # Rows come back in the order in which they were added.
    for row, number in zip(coming, numbers[-len(coming) :] if coming else []):
        row.fid = number


def commit(layer: QgsVectorLayer) -> list[int]:
    """Save a layer and stay in its edit session; returns the numbers of new rows.

    Raises:
        SaveProblem: it was refused; what was not saved stays in the edit session.
    """
    numbers: list[int] = []

    def committed(_: str, features: list[QgsFeature]) -> None:
        numbers.extend(feature.id() for feature in features)

    layer.committedFeaturesAdded.connect(committed)
    try:
        if layer.commitChanges(False):
            return numbers
        reasons = [line.strip() for line in layer.commitErrors() if line.strip()]
    finally:
        layer.committedFeaturesAdded.disconnect(committed)
    raise SaveProblem("; ".join(reasons[-2:]) or f"{layer.name()} could not be saved")


def rows(layer: QgsVectorLayer, expression: str) -> list[Row]:
    """The rows of a layer for which an expression holds."""
    return [
        Row(layer, feature)
        for feature in layer.getFeatures(QgsFeatureRequest().setFilterExpression(expression))
    ]


def _forget_number(layer: QgsVectorLayer, feature: QgsFeature) -> None:
    # A row that was saved before would ask for its old number.
    for index in layer.primaryKeyAttributes():
        feature.setAttribute(index, layer.dataProvider().defaultValueClause(index) or None)
