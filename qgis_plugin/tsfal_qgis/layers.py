"""The group of layers of a workspace: built once, moved to each new round, never replaced under the user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsDataProvider,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorLayerJoinInfo,
)
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtGui import QColor

from . import dressing
from .compat import POLYGON
from .labels import footprint, scene_crs
from .queue import Query
from .stores import query_sources, settle_crs
from .workspace import KINDS, Scene, Workspace

MARK = "tsfal/workspace"
TITLES = {
    "error_mask": "Error mask",
    "refined": "Refined labels",
    "confidence": "Confidence",
    "prediction": "Prediction",
    "orthophoto": "Orthophoto",
}
_SHOWN = ("error_mask", "orthophoto")
_LEAST_PIXELS = 30
_AROUND = 3.5


@dataclass(frozen=True)
class Region:
    """A query's polygon and its CRS."""

    geometry: QgsGeometry
    crs: QgsCoordinateReferenceSystem


class LayerSet(QObject):
    """The layers of one workspace in the project, and the outline of the current query on the canvas."""

    def __init__(self, workspace: Workspace, canvas: QgsMapCanvas) -> None:
        super().__init__()
        self.workspace = workspace
        self.queries: list[QgsVectorLayer] = []
        self._canvas = canvas
        self._project = QgsProject.instance()
        self._rasters: dict[tuple[str, str], QgsRasterLayer] = {}
        self._hidden: list[str] = []
        self._outline = QgsRubberBand(canvas, POLYGON)
        self._outline.setFillColor(QColor(0, 0, 0, 0))
        self._outline.setStrokeColor(QColor(0, 255, 255))
        self._outline.setSecondaryStrokeColor(QColor(0, 0, 0, 150))
        self._outline.setWidth(3)
        self._statuses = _status_layer()
        self._rows: dict[str, int] = {}
        self._forget_earlier()
        self.group = self._project.layerTreeRoot().insertGroup(0, f"TSFAL – {workspace.root.name}")
        self.group.setCustomProperty(MARK, str(workspace.root))
        self._project.addMapLayer(self._statuses, False)
        self._groups: dict[str, QgsLayerTreeGroup] = {}

    def build(self, labels: Iterable[QgsVectorLayer], author: str) -> None:
        """Add everything, below the author's own labels."""
        self._groups = {"labels": self.group.addGroup("Labels"), "queries": self.group.addGroup("Queries")}
        for layer in labels:
            layer.setName(author)
            dressing.labels(layer, self.workspace.classes)
            self._add(layer, "labels")
        for kind, title in TITLES.items():
            group = self.group.addGroup(title)
            group.setExpanded(False)
            group.setItemVisibilityChecked(kind in _SHOWN)
            self._groups[kind] = group
        for scene in self.workspace.scenes:
            self._add(
                QgsRasterLayer(str(scene.path), scene.name, "gdal", _raw()), "orthophoto", collapsed=True
            )
        self._add_chips()
        self.show_round(self.workspace)

    def add_others(self, layers: Iterable[QgsVectorLayer]) -> None:
        """Show other people's labels beside the author's own."""
        for layer in layers:
            dressing.labels(layer, self.workspace.classes)
            self._add(layer, "labels", collapsed=True)

    def show_round(self, workspace: Workspace) -> None:
        """Move every layer to a round; the view, the order and what the user made visible stay."""
        self.workspace = workspace
        for kind in KINDS:
            for scene in workspace.scenes:
                self._show_raster(workspace.round, scene, kind)
        self._show_queries()

    def show_prediction(self, number: int) -> None:
        """Show a round's predictions, for comparing."""
        for scene in self.workspace.scenes:
            self._show_raster(number, scene, "prediction")
        self._groups["prediction"].setItemVisibilityChecked(True)

    def read_queries(self) -> list[Query]:
        """The queries of the layers."""
        found = []
        for number, layer in enumerate(self.queries):
            request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
            found += [_query(feature, number) for feature in layer.getFeatures(request)]
        return found

    def region(self, query: Query) -> Region:
        """Where a query is."""
        layer = self.queries[query.layer]
        return Region(layer.getFeature(query.fid).geometry(), layer.crs())

    def query_at(self, point: QgsPointXY) -> str | None:
        """The name of the query at a point of the canvas."""
        for layer in self.queries:
            here = self._to_canvas(layer.crs()).transform(point, Qgis.TransformDirection.Reverse)
            spot = QgsGeometry.fromPointXY(here)
            box = QgsRectangle(here.x(), here.y(), here.x(), here.y())
            for feature in layer.getFeatures(QgsFeatureRequest().setFilterRect(box)):
                if feature.geometry().intersects(spot):
                    return str(feature["qid"])
        return None

    def set_statuses(self, statuses: Mapping[str, str]) -> None:
        """Colour queries by what became of them.

        Args:
            statuses: by qid, those of a few queries or of all.
        """
        layer = self._statuses
        layer.startEditing()
        new = []
        for qid, status in statuses.items():
            if qid in self._rows:
                layer.changeAttributeValue(self._rows[qid], 1, status)
            else:
                feature = QgsFeature(layer.fields())
                feature.setAttributes([qid, status])
                new.append(feature)
        layer.addFeatures(new)
        layer.commitChanges()
        if new:
            self._rows = {str(feature["qid"]): feature.id() for feature in layer.getFeatures()}
        for each in self.queries:
            each.triggerRepaint()

    def show_query(self, query: Query | None) -> None:
        """Zoom to a query, outline and flash it; None: take the outline away."""
        if query is None:
            self._outline.reset(POLYGON)
            return
        region = self.region(query)
        self._outline.setToGeometry(region.geometry, region.crs)
        scene = next((scene for scene in self.workspace.scenes if scene.name == query.scene), None)
        box = region.geometry.boundingBox()
        box.scale(_AROUND)
        if scene is not None:
            box.combineExtentWith(_around(box.center(), scene))
        self._canvas.setExtent(self._to_canvas(region.crs).transformBoundingBox(box))
        self._canvas.refresh()
        self._canvas.flashGeometries(
            [region.geometry], region.crs, QColor(0, 255, 255, 120), QColor(0, 255, 255, 0), 1, 300
        )

    def zoom_to_all(self) -> None:
        """Show every scene."""
        box = QgsRectangle()
        for scene in self.workspace.scenes:
            shape = footprint(scene)
            box.combineExtentWith(self._to_canvas(scene_crs(scene)).transformBoundingBox(shape.boundingBox()))
        box.scale(1.05)
        self._canvas.setExtent(box)
        self._canvas.refresh()

    def hide_overlays(self, hidden: bool) -> None:
        """Show the orthophoto alone, or what was shown before."""
        if hidden and not self._hidden:
            self._hidden = [
                kind
                for kind, group in self._groups.items()
                if kind != "orthophoto" and group.itemVisibilityChecked()
            ]
        for kind in self._hidden:
            self._groups[kind].setItemVisibilityChecked(not hidden)
        self._outline.setVisible(not hidden)
        if not hidden:
            self._hidden = []

    def layer_ids(self) -> set[str]:
        """Ids of the layers of queries and statuses, which the work cannot do without."""
        return {layer.id() for layer in (*self.queries, self._statuses)}

    def remove(self) -> None:
        """Take group, layers and outline away."""
        self._canvas.scene().removeItem(self._outline)
        ids = [node.layerId() for node in self.group.findLayers()]
        self._project.layerTreeRoot().removeChildNode(self.group)
        self._project.removeMapLayers([*ids, self._statuses.id()])

    def _show_raster(self, number: int, scene: Scene, kind: str) -> None:
        path = self.workspace.raster(number, scene.name, kind)
        layer = self._rasters.get((kind, scene.name))
        if not path.is_file():
            if layer is not None:
                self._project.removeMapLayer(self._rasters.pop((kind, scene.name)).id())
        elif layer is None:
            layer = QgsRasterLayer(str(path), scene.name, "gdal", _raw())
            dressing.raster(layer, kind, self.workspace.classes)
            self._rasters[kind, scene.name] = layer
            self._add(layer, kind, collapsed=True)
        elif layer.source() != str(path):
            layer.setDataSource(str(path), scene.name, "gdal", QgsDataProvider.ProviderOptions())
            layer.triggerRepaint()

    def _show_queries(self) -> None:
        sources = query_sources(self.workspace, self.workspace.round)
        while len(self.queries) > len(sources):
            self._project.removeMapLayer(self.queries.pop().id())
        for number, source in enumerate(sources):
            if number < len(self.queries):
                layer = self.queries[number]
                layer.setDataSource(
                    source.uri, source.name, source.provider, QgsDataProvider.ProviderOptions()
                )
            else:
                layer = source.open()
                layer.setReadOnly(True)
                self._join(layer)
                dressing.queries(layer)
                self.queries.append(layer)
                self._add(layer, "queries")
            settle_crs(layer, self.workspace)
            layer.setName(f"queries of round {self.workspace.round}")

    def _join(self, layer: QgsVectorLayer) -> None:
        join = QgsVectorLayerJoinInfo()
        join.setJoinLayer(self._statuses)
        join.setJoinFieldName("qid")
        join.setTargetFieldName("qid")
        join.setUsingMemoryCache(True)
        join.setPrefix("")
        join.setJoinFieldNamesSubset([dressing.STATUS_FIELD])
        layer.addJoin(join)

    def _add_chips(self) -> None:
        size = self.workspace.chip_size()
        if size is None:
            return
        layer = _memory(f"MultiPolygon?crs={_first_crs(self.workspace)}&field=chip:string", "chips")
        layer.dataProvider().addFeatures(
            [_chip(layer, scene, *at) for scene, *at in _chips(self.workspace, size)]
        )
        dressing.chips(layer)
        group = self.group.addGroup("Chips")
        group.setItemVisibilityChecked(False)
        group.setExpanded(False)
        self._groups["chips"] = group
        self._add(layer, "chips")

    def _add(self, layer: QgsMapLayer, kind: str, collapsed: bool = False) -> None:
        self._project.addMapLayer(layer, False)
        node = self._groups[kind].addLayer(layer)
        node.setExpanded(not collapsed)

    def _to_canvas(self, crs: QgsCoordinateReferenceSystem) -> QgsCoordinateTransform:
        return QgsCoordinateTransform(crs, self._canvas.mapSettings().destinationCrs(), self._project)

    def _forget_earlier(self) -> None:
        # A project that was saved with the group in it: the layers are made anew, with their wiring.
        root = self._project.layerTreeRoot()
        for group in root.findGroups():
            if group.customProperty(MARK) == str(self.workspace.root):
                ids = [node.layerId() for node in group.findLayers()]
                root.removeChildNode(group)
                self._project.removeMapLayers(ids)


def _raw() -> QgsRasterLayer.LayerOptions:
    options = QgsRasterLayer.LayerOptions()
    options.loadDefaultStyle = False
    return options


def _memory(uri: str, name: str) -> QgsVectorLayer:
    layer = QgsVectorLayer(uri, name, "memory")
    layer.setCustomProperty("skipMemoryLayersCheck", 1)
    return layer


def _status_layer() -> QgsVectorLayer:
    layer = _memory(f"None?field=qid:string&field={dressing.STATUS_FIELD}:string", "statuses")
    layer.setFlags(layer.flags() | QgsMapLayer.LayerFlag.Private)
    return layer


def _around(centre: QgsPointXY, scene: Scene) -> QgsRectangle:
    a, b, _, d, e, _ = scene.transform
    reach = _LEAST_PIXELS * max(abs(a) + abs(b), abs(d) + abs(e))
    return QgsRectangle(centre.x() - reach, centre.y() - reach, centre.x() + reach, centre.y() + reach)


def _query(feature: QgsFeature, layer: int) -> Query:
    suggested = feature["suggested"]
    return Query(
        qid=str(feature["qid"]),
        round=int(feature["round"]),
        scene=str(feature["scene"]),
        chip=str(feature["chip"]),
        rank=int(feature["rank"]),
        score=float(feature["score"]),
        reason=str(feature["reason"]),
        suggested=int(suggested) if isinstance(suggested, int) else None,
        pixels=int(feature["pixels"]),
        layer=layer,
        fid=feature.id(),
    )


def _first_crs(workspace: Workspace) -> str:
    crs = scene_crs(workspace.scenes[0])
    return crs.authid() or ""


def _chips(workspace: Workspace, size: int) -> Iterable[tuple[Scene, int, int, int]]:
    first = scene_crs(workspace.scenes[0])
    for scene in workspace.scenes:
        if scene_crs(scene) == first:
            for row in range(0, scene.height, size):
                for column in range(0, scene.width, size):
                    yield scene, row, column, size


def _chip(layer: QgsVectorLayer, scene: Scene, row: int, column: int, size: int) -> QgsFeature:
    right, bottom = min(column + size, scene.width), min(row + size, scene.height)
    corners = ((column, row), (right, row), (right, bottom), (column, bottom))
    feature = QgsFeature(layer.fields())
    feature.setGeometry(QgsGeometry.fromPolygonXY([[QgsPointXY(*scene.corner(*at)) for at in corners]]))
    feature.setAttributes([f"{scene.name} r{row // size}c{column // size}"])
    return feature
