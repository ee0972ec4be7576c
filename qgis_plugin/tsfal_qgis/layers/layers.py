"""The group of layers of a workspace: built once, moved to each new round, never replaced under the user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsDataProvider,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorLayerJoinInfo,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject

from ..answering.query_queue import Query
from ..store.sources import query_sources, settle_crs
from ..store.workspace import KINDS, Scene, Workspace
from . import styling as dressing
from .highlight import Spotlight, to_canvas
from .memory_layers import chips_layer, status_layer
from .overlapping_pictures import Pile
from .rasters import Rasters

MARK = "tsfal/workspace"
_KIND = "tsfal/kind"
TITLES = {
    "error_mask": "Error mask",
    "refined": "Refined labels",
    "confidence": "Confidence",
    "prediction": "Prediction",
    "orthophoto": "Orthophoto",
}
_SHOWN = ("error_mask", "orthophoto")


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
        self._rasters = Rasters(workspace.classes)
        self._pile = Pile(workspace.scenes)
        self._piled: set[str] = set()
        self._prediction = workspace.round
        self._hidden: list[str] = []
        self._spotlight = Spotlight(canvas)
        self._statuses = status_layer()
        self._rows: dict[str, int] = {}
        self._forget_earlier()
        self.group = self._project.layerTreeRoot().insertGroup(0, f"TSFAL – {workspace.root.name}")
        self.group.setCustomProperty(MARK, str(workspace.root))
        self._hold(self._statuses)

    def build(self, labels: Iterable[QgsVectorLayer], decisions: QgsVectorLayer, author: str) -> None:
        """Add everything, below the author's own labels."""
        self._hold(decisions)
        self._add_group("labels", "Labels", shown=True)
        self._add_group("queries", "Queries", shown=True)
        for layer in labels:
            layer.setName(author)
            dressing.labels(layer, self.workspace.classes)
            self._uncover(layer)
            self._add(layer, "labels")
        for kind, title in TITLES.items():
            self._add_group(kind, title, shown=kind in _SHOWN).setExpanded(False)
        for scene in self._pile.visible(self.workspace.scenes):
            self._show_raster(scene.path, scene, "orthophoto")
        self._add_chips()
        self.show_round(self.workspace)

    def add_others(self, layers: Iterable[QgsVectorLayer]) -> None:
        """Show other people's labels beside the author's own; hold their decisions."""
        for layer in layers:
            if layer.isSpatial():
                dressing.labels(layer, self.workspace.classes)
                self._uncover(layer)
                self._add(layer, "labels", collapsed=True)
            else:
                self._hold(layer)

    def show_round(self, workspace: Workspace) -> None:
        """Move every layer to a round; the view, the order and what the user made visible stay."""
        self.workspace = workspace
        self._pile = Pile(workspace.scenes, self._pile.top)
        self._prediction = workspace.round
        for scene in self._pile.visible(workspace.scenes):
            self._show_seen(scene)
        self._show_queries()

    def show_prediction(self, number: int) -> None:
        """Show a round's predictions, for comparing."""
        self._prediction = number
        for scene in self._pile.visible(self.workspace.scenes):
            self._show_seen(scene, ("prediction",))
        group = self._group("prediction")
        if group is not None:
            group.setItemVisibilityChecked(True)

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
            here = to_canvas(self._canvas, layer.crs()).transform(point, Qgis.TransformDirection.Reverse)
            spot = QgsGeometry.fromPointXY(here)
            box = QgsRectangle(here.x(), here.y(), here.x(), here.y())
            for feature in layer.getFeatures(QgsFeatureRequest().setFilterRect(box)):
                hidden = self._pile.hides(str(feature["scene"]))
                if not hidden and feature.geometry().intersects(spot):
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
            self._spotlight.clear()
            return
        region = self.region(query)
        scene = next((scene for scene in self.workspace.scenes if scene.name == query.scene), None)
        if scene is not None and self._pile.bring_up(scene):
            self._show_raster(scene.path, scene, "orthophoto")
            self._show_seen(scene)
            for layer in filter(None, map(self._project.mapLayer, self._piled)):
                dressing.show_only(layer, scene.name)
        self._spotlight.show(region.geometry, region.crs, scene)

    def zoom_to_all(self) -> None:
        """Show every scene; of pictures that lie on one another, the one on top."""
        self._spotlight.show_all(self._pile.visible(self.workspace.scenes))

    def hide_overlays(self, hidden: bool) -> None:
        """Show the orthophoto alone, or what was shown before."""
        groups = {group.customProperty(_KIND): group for group in self.group.children()}
        if hidden and not self._hidden:
            shown = (kind for kind, group in groups.items() if group.itemVisibilityChecked())
            self._hidden = [kind for kind in shown if kind != "orthophoto"]
        for kind in self._hidden:
            if kind in groups:
                groups[kind].setItemVisibilityChecked(not hidden)
        self._spotlight.set_visible(not hidden)
        if not hidden:
            self._hidden = []

    @property
    def top(self) -> Scene | None:
        """The picture that is shown of those that lie on one another; None where none do."""
        return self._pile.top

    def apart(self, layers: Iterable[QgsVectorLayer]) -> list[QgsVectorLayer]:
        """Those of some layers in which no scenes lie on one another."""
        return [layer for layer in layers if layer.id() not in self._piled]

    def layer_ids(self) -> set[str]:
        """Ids of the layers of queries and statuses, which the work cannot do without."""
        return {layer.id() for layer in (*self.queries, self._statuses)}

    def remove(self) -> None:
        """Take group, layers and outline away."""
        self._spotlight.remove()
        ids = [node.layerId() for node in self.group.findLayers()]
        self._project.layerTreeRoot().removeChildNode(self.group)
        self._project.removeMapLayers(ids)
        self._drop_held()

    def _show_seen(self, scene: Scene, kinds: Sequence[str] = KINDS) -> None:
        """What the round saw of a scene."""
        for kind in kinds:
            number = self._prediction if kind == "prediction" else self.workspace.round
            self._show_raster(self.workspace.raster(number, scene.name, kind), scene, kind)

    def _show_raster(self, path: Path, scene: Scene, kind: str) -> None:
        new = self._rasters.show(path, self._pile.slot(scene), scene.name, kind)
        if new is not None:
            self._add(new, kind, collapsed=True)

    def _uncover(self, layer: QgsVectorLayer) -> None:
        """Show in a layer of scenes that lie on one another only what is on the top one, now and later."""
        if self._pile.top is not None and not layer.crs().isValid():
            self._piled.add(layer.id())
            dressing.show_only(layer, self._pile.top.name)

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
            self._uncover(layer)
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
        layer = chips_layer(self.workspace)
        if layer is not None:
            self._uncover(layer)
            self._add_group("chips", "Chips", shown=False).setExpanded(False)
            self._add(layer, "chips")

    def _add(self, layer: QgsMapLayer, kind: str, collapsed: bool = False) -> None:
        self._project.addMapLayer(layer, False)
        group = self._group(kind)
        node = (self.group if group is None else group).addLayer(layer)
        node.setExpanded(not collapsed)

    def _hold(self, layer: QgsVectorLayer) -> None:
        # A layer that only Python holds is closed by its garbage collector, when that may crash QGIS.
        layer.setFlags(layer.flags() | QgsMapLayer.LayerFlag.Private)
        layer.setCustomProperty(MARK, str(self.workspace.root))
        self._project.addMapLayer(layer, False)

    def _drop_held(self) -> None:
        root = str(self.workspace.root)
        layers = self._project.mapLayers()
        self._project.removeMapLayers(
            [name for name, each in layers.items() if each.customProperty(MARK) == root]
        )

    def _add_group(self, kind: str, title: str, shown: bool) -> QgsLayerTreeGroup:
        group = self.group.addGroup(title)
        group.setCustomProperty(_KIND, kind)
        group.setItemVisibilityChecked(shown)
        return group

    def _group(self, kind: str) -> QgsLayerTreeGroup | None:
        found = (group for group in self.group.children() if group.customProperty(_KIND) == kind)
        return next(found, None)

    def _forget_earlier(self) -> None:
        # A project that was saved with the group in it: the layers are made anew, with their wiring.
        self._drop_held()
        root = self._project.layerTreeRoot()
        for group in root.findGroups():
            if group.customProperty(MARK) == str(self.workspace.root):
                ids = [node.layerId() for node in group.findLayers()]
                root.removeChildNode(group)
                self._project.removeMapLayers(ids)


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
