"""The store of one author's labels and decisions: a GeoPackage, or the tables of a PostGIS database."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsVectorLayer

from ..compat import tr
from .history import Change, History, Row, SaveProblem, commit, find_rows, saved
from .label_rows import LabelContext, author_decisions, author_labels, author_region_labels, field_is, new_row
from .queries import DONE, OPEN, Query
from .shapes import LabelRejected, QueryRegion, repair_polygon, same_crs, scene_below, scene_crs
from .stacking import cut_below, fill_undrawn
from .workspace import Scene


class LabelStore:
    """The author's label layers and table of decisions; every change is saved at once.

    Args:
        labels: layers of labels, one for each CRS.
        decisions: the table of decisions.
        author: name under which labels are stored.
        context: classes, scenes and round that labels are checked against.

    Attributes:
        history: the changes, which can be undone.
    """

    def __init__(
        self, labels: Sequence[QgsVectorLayer], decisions: QgsVectorLayer, author: str, context: LabelContext
    ) -> None:
        self.labels = list(labels)
        self.decisions = decisions
        self.author = author
        self.context = context
        self.history = History()

    def start_editing(self) -> None:
        """Open the edit sessions, which stay open so that QGIS's digitising tools work."""
        for layer in (*self.labels, self.decisions):
            if not layer.isEditable():
                layer.startEditing()

    def stop_editing(self) -> str:
        """Save the edits of QGIS's own tools and close the edit sessions.

        Returns:
            The problem; empty if there was none. A layer that cannot be saved stays in its edit session, with
            all its edits.
        """
        problem = self.save()
        for layer in (*self.labels, self.decisions):
            if layer.isEditable() and not layer.isModified():
                layer.commitChanges(True)
        return problem

    def save(self) -> str:
        """Save the edits of QGIS's own tools in the label layers.

        Returns:
            The problem; empty if there was none.
        """
        for layer in (*self.labels, self.decisions):
            if layer.isEditable() and layer.isModified():
                try:
                    commit(layer)
                except SaveProblem as problem:
                    text = tr(
                        "Not saved: edits of QGIS's own tools in {layer} ({reason}). "
                        "Does each polygon have a class?"
                    )
                    return text.format(layer=layer.name(), reason=str(problem).rstrip(". "))
        return ""

    def layer_for(self, crs: QgsCoordinateReferenceSystem) -> QgsVectorLayer:
        """Find the label layer of a CRS.

        Args:
            crs: the CRS.

        Returns:
            The layer.

        Raises:
            LabelRejected: the store has none.
        """
        for layer in self.labels:
            if same_crs(layer.crs(), crs):
                return layer
        raise LabelRejected(
            f"Your label file is older than the scenes in {crs.authid()}; label under another name."
        )

    def layer_of(self, scene: Scene) -> QgsVectorLayer:
        """Find the label layer of a scene.

        Args:
            scene: the scene.

        Returns:
            The layer.

        Raises:
            LabelRejected: the store has none in the scene's CRS.
        """
        # QGIS does not always recognise a CRS without a code after it was written to a file.
        return self.labels[0] if len(self.labels) == 1 else self.layer_for(scene_crs(scene))

    def add(
        self,
        geometry: QgsGeometry,
        crs: QgsCoordinateReferenceSystem,
        class_id: int | None,
        source: str,
        query: Query | None = None,
        top: Scene | None = None,
    ) -> QgsGeometry:
        """Save a label.

        Args:
            geometry: a polygon; an invalid one is repaired.
            crs: the CRS of its coordinates.
            class_id: id of the class.
            source: ``drawn`` or ``brushed``.
            query: the query that the label answers; None for a label outside every query.
            top: the scene that is shown, among scenes that overlap because they have no georeference.

        Returns:
            The polygon as it was saved.

        Raises:
            LabelRejected: no class, no polygon, outside every scene, or the store rejected it.
        """
        row = self._label(geometry, crs, class_id, source, query, top)
        cut, whole = cut_below(row, self.author, self.context.scenes)
        self._apply(Change((*cut, row), whole, (query.qid,) if query else ()))
        return row.feature.geometry()

    def answer(
        self,
        query: Query,
        geometry: QgsGeometry,
        crs: QgsCoordinateReferenceSystem,
        class_id: int | None,
        source: str,
    ) -> None:
        """Save a label for what is undrawn of a query's region, and the decision ``done``, as one change.

        Args:
            query: the query.
            geometry: its region.
            crs: the CRS of the region.
            class_id: id of the class.
            source: one of ``REGION_SOURCES``.

        Raises:
            LabelRejected: as for ``add``.
        """
        row = self._label(geometry, crs, class_id, source, query)
        rows = fill_undrawn(row, self.author, self.context.scenes)
        earlier = self._label_rows(author_region_labels(query, self.author))
        added, removed = self._decision(query, DONE)
        self._apply(Change((*rows, *added), (*earlier, *removed), (query.qid,)))

    def accept_all(self, regions: Sequence[QueryRegion]) -> None:
        """Save the suggested classes of open queries, and the decisions ``done``, as one change.

        Args:
            regions: queries on which this author has neither labels nor decisions, with their regions.

        Raises:
            LabelRejected: as for ``add``; nothing was saved.
        """
        added: list[Row] = []
        for query, geometry, crs in regions:
            row = self._label(geometry, crs, query.suggested, "accepted", query)
            added += fill_undrawn(row, self.author, self.context.scenes)
            added += self._decision(query, DONE)[0]
        self._apply(Change(tuple(added), (), tuple(query.qid for query, *_ in regions)))

    def decide(self, query: Query, status: str) -> None:
        """Save a decision, which replaces an earlier one on the same query.

        Args:
            query: the query.
            status: one of ``STATUSES``.

        Raises:
            LabelRejected: the store rejected it.
        """
        added, removed = self._decision(query, status)
        self._apply(Change(added, removed, (query.qid,)))

    def last_decided(self) -> str | None:
        """Return the qid of the query that this author decided last in this round; None if there is none."""
        this_round = field_is("round", self.context.round)
        own = find_rows(self.decisions, f"{this_round} AND {field_is('author', self.author)}")
        return str(max(own, key=lambda row: row.fid).feature["qid"]) if own else None

    def reopen(self, query: Query) -> None:
        """Remove this author's decision on a query and the labels of its entire region; drawn labels stay.

        Args:
            query: the query.

        Raises:
            LabelRejected: the store rejected it.
        """
        labels = self._label_rows(author_region_labels(query, self.author))
        decisions = find_rows(self.decisions, author_decisions(query, self.author))
        if labels or decisions:
            self._apply(Change(removed=(*labels, *decisions), qids=(query.qid,)))

    def undo(self) -> Change | None:
        """Undo the last change.

        Returns:
            The change; None if there was none.

        Raises:
            LabelRejected: the store rejected it.
        """
        return saved(self.history.undo, "Not undone")

    def redo(self) -> Change | None:
        """Redo the change that was undone last.

        Returns:
            The change; None if there was none.

        Raises:
            LabelRejected: the store rejected it.
        """
        return saved(self.history.redo, "Not redone")

    def has_labels(self, query: Query) -> bool:
        """Check if this author has labels on a query.

        Args:
            query: the query.

        Returns:
            True if there is a label.
        """
        return bool(self._label_rows(author_labels(query, self.author)))

    def undecided(self, query: Query) -> bool:
        """Check if this author has labels on a query and no decision.

        Args:
            query: the query.

        Returns:
            True if the decision is missing.
        """
        return self.has_labels(query) and not find_rows(self.decisions, author_decisions(query, self.author))

    def status(self, query: Query) -> str:
        """Return the status that this author gave a query.

        Args:
            query: the query.

        Returns:
            The status of the decision; without a decision, done for a query with labels, else open.
        """
        decisions = find_rows(self.decisions, author_decisions(query, self.author))
        if decisions:
            return str(decisions[-1].feature["status"])
        return DONE if self.has_labels(query) else OPEN

    def _apply(self, change: Change) -> None:
        saved(lambda: self.history.apply(change), "Not saved")

    def _label_rows(self, expression: str) -> list[Row]:
        return [row for layer in self.labels for row in find_rows(layer, expression)]

    def _decision(self, query: Query, status: str) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
        """Make the new row of a decision, and find those that it replaces."""
        values = {"qid": query.qid, "round": query.round, "status": status, "author": self.author}
        row = new_row(self.decisions, QgsGeometry(), values)
        return (row,), tuple(find_rows(self.decisions, author_decisions(query, self.author)))

    def _label(
        self,
        geometry: QgsGeometry,
        crs: QgsCoordinateReferenceSystem,
        class_id: int | None,
        source: str,
        query: Query | None,
        top: Scene | None = None,
    ) -> Row:
        if class_id is None:
            raise LabelRejected("Choose a class first: press its number, or click it.")
        if class_id not in {info.id for info in self.context.classes}:
            raise LabelRejected(f"Class {class_id} is not in the class map of this workspace.")
        layer = self.layer_for(crs)
        shape = repair_polygon(geometry)
        values = {
            "class_id": class_id,
            "scene": query.scene if query else self._scene_name(shape, crs, top),
            "qid": query.qid if query else None,
            "round": self.context.round,
            "author": self.author,
            "source": source,
        }
        return new_row(layer, shape, values)

    def _scene_name(
        self, shape: QgsGeometry, crs: QgsCoordinateReferenceSystem, top: Scene | None
    ) -> str | None:
        scenes = self.context.scenes if top is None or crs.isValid() else (top,)
        return scene_below(shape, crs, [(scene, self.layer_of(scene).crs()) for scene in scenes])
