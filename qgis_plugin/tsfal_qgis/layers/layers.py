"""All layers of a workspace: added once, moved to the files of each new round, never replaced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from qgis.core import Qgis, QgsLayerTreeGroup, QgsPointXY, QgsVectorLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject

from ..store.queries import Query
from ..store.shapes import scene_crs
from ..store.workspace import KINDS, Scene, Workspace
from .group import LayerGroup
from .highlight import Highlight, to_canvas
from .memory_layers import chips_layer
from .overlapping_pictures import OverlappingPictures
from .query_layers import QueryLayers
from .rasters import RasterLayers
from .segments import SegmentRaster
from .styling import style_labels

TITLES = {
    "error_mask": "Error mask",
    "refined": "Refined labels",
    "confidence": "Confidence",
    "prediction": "Prediction",
    "orthophoto": "Orthophoto",
}
_SHOWN = ("orthophoto",)


class LayerSet(QObject):
    """The layers of one workspace in the project, and the outline of the current query on the canvas.

    Args:
        workspace: the workspace.
        canvas: the map canvas.

    Attributes:
        workspace: the workspace at its present round.
        queries: the layers of queries.
        pictures: the pictures that overlap because they have no georeference.
    """

    def __init__(self, workspace: Workspace, canvas: QgsMapCanvas) -> None:
        super().__init__()
        self.workspace = workspace
        self.pictures = OverlappingPictures(workspace.scenes)
        self._group = LayerGroup(workspace.root)
        self.queries = QueryLayers(canvas, self._group, self.pictures)
        self._rasters = RasterLayers(workspace.classes)
        self._prediction_round = workspace.round
        self._canvas = canvas
        self._segments: SegmentRaster | None = None
        self._highlight = Highlight(canvas)

    @property
    def tree(self) -> LayerGroup:
        """The group, with a group inside for each kind."""
        return self._group

    @property
    def shown_scenes(self) -> list[Scene]:
        """The scenes whose pictures are shown."""
        return list(self.pictures.visible(self.workspace.scenes))

    @property
    def group(self) -> QgsLayerTreeGroup:
        """The group of the layers in the layer tree."""
        return self._group.node

    def build(self, labels: Iterable[QgsVectorLayer], decisions: QgsVectorLayer, author: str) -> None:
        """Add all layers.

        Args:
            labels: the author's layers of labels, which come on top.
            decisions: the author's table of decisions, which no group shows.
            author: name of the label layers.

        Raises:
            WorkspaceProblem: the queries cannot be opened.
        """
        self._group.add_private(decisions)
        self._group.add_kind("labels", "Labels", shown=True)
        self._group.add_kind("queries", "Queries", shown=True)
        for layer in labels:
            layer.setName(author)
            self._add_labels(layer, expanded=True)
        for kind, title in TITLES.items():
            self._group.add_kind(kind, title, shown=kind in _SHOWN, expanded=False)
        for scene in self.pictures.visible(self.workspace.scenes):
            self._show_raster(scene.path, scene, "orthophoto")
        self._add_chips()
        self.show_round(self.workspace)

    def add_other_annotators(self, layers: Iterable[QgsVectorLayer]) -> None:
        """Add the layers of other annotators.

        Args:
            layers: labels, shown below the author's own, and decisions, which no group shows.
        """
        for layer in layers:
            if layer.isSpatial():
                self._add_labels(layer, expanded=False)
            else:
                self._group.add_private(layer)

    def show_round(self, workspace: Workspace) -> None:
        """Move every layer to a round; view, order and visibility do not change.

        Args:
            workspace: the workspace at the new round.

        Raises:
            WorkspaceProblem: the queries cannot be opened.
        """
        self.workspace = workspace
        self.pictures.update(workspace.scenes)
        self._prediction_round = workspace.round
        for scene in self.pictures.visible(workspace.scenes):
            self._show_round_rasters(scene)
        self.queries.show_round(workspace)

    def show_prediction(self, number: int) -> None:
        """Show the predictions of a round, for comparison.

        Args:
            number: number of the round.
        """
        self._prediction_round = number
        for scene in self.pictures.visible(self.workspace.scenes):
            self._show_round_rasters(scene, ("prediction",))
        group = self._group.find_kind("prediction")
        if group is not None:
            group.setItemVisibilityChecked(True)

    def show_query(self, query: Query | None) -> None:
        """Zoom to a query, outline and flash it.

        Args:
            query: the query; None to remove the outline.
        """
        if query is None:
            self._highlight.clear()
            return
        region = self.queries.region(query)
        scene = next((scene for scene in self.workspace.scenes if scene.name == query.scene), None)
        if scene is not None and self.pictures.raise_to_top(scene):
            self._show_raster(scene.path, scene, "orthophoto")
            self._show_round_rasters(scene)
        self._highlight.show(region.geometry, region.crs, scene)

    def place_at(self, point: QgsPointXY, first: Scene) -> tuple[Scene, tuple[int, int]] | None:
        """Find the scene and its pixel at a point.

        Args:
            point: in the canvas's CRS.
            first: the scene that is preferred where several overlap.

        Returns:
            The scene and the pixel, as (column, row); None outside every scene that is shown.
        """
        shown = self.pictures.visible(self.workspace.scenes)
        for scene in sorted(shown, key=lambda each: each.name != first.name):
            transform = to_canvas(self._canvas, scene_crs(scene))
            position = transform.transform(point, Qgis.TransformDirection.Reverse)
            column, row = scene.cell(position.x(), position.y())
            if 0 <= column < scene.width and 0 <= row < scene.height:
                return scene, (column, row)
        return None

    def segment_at(self, scene: Scene, cell: tuple[int, int], steps: int) -> set[tuple[int, int]]:
        """Find the pixels that a click labels.

        Args:
            scene: the scene.
            cell: the pixel below the click, as (column, row).
            steps: as for `SegmentRaster.find`.

        Returns:
            Pixels inside the scene, as (column, row).
        """
        path = self.workspace.raster(self.workspace.round, scene.name, "segments")
        if self._segments is None or self._segments.path != path:
            self._segments = SegmentRaster(path, scene)
        return self._segments.find(cell, steps)

    def zoom_to_all(self) -> None:
        """Zoom to every scene that is shown."""
        self._highlight.show_all(self.pictures.visible(self.workspace.scenes))

    def hide_overlays(self, hidden: bool) -> None:
        """Show the orthophoto and the outline of the current query alone, or all that was shown before.

        Args:
            hidden: True to hide everything else.
        """
        self._group.show_kind_only("orthophoto", hidden)

    def group_below_labels(self, title: str) -> QgsLayerTreeGroup:
        """Add a group below labels, queries and the error mask, which it must not cover.

        Args:
            title: its title.

        Returns:
            The group.
        """
        below = self._group.find_kind("refined") or self._group.find_kind("prediction")
        children = self.group.children()
        return self.group.insertGroup(children.index(below) if below in children else len(children), title)

    def remove(self) -> None:
        """Remove the group, its layers and the outline."""
        self._highlight.remove()
        self._group.remove()

    def _show_round_rasters(self, scene: Scene, kinds: Sequence[str] = KINDS) -> None:
        for kind in kinds:
            number = self._prediction_round if kind == "prediction" else self.workspace.round
            self._show_raster(self.workspace.raster(number, scene.name, kind), scene, kind)

    def _show_raster(self, path: Path, scene: Scene, kind: str) -> None:
        new = self._rasters.show(path, self.pictures.slot(scene), scene.name, kind)
        if new is not None:
            self._group.add(new, kind, expanded=False)

    def _add_labels(self, layer: QgsVectorLayer, expanded: bool) -> None:
        style_labels(layer, self.workspace.classes)
        self.pictures.filter_layer(layer)
        self._group.add(layer, "labels", expanded)

    def _add_chips(self) -> None:
        layer = chips_layer(self.workspace)
        if layer is not None:
            self.pictures.filter_layer(layer)
            self._group.add_kind("chips", "Chips", shown=False, expanded=False)
            self._group.add(layer, "chips")
