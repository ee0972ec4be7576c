"""The layers of a round's queries, joined with a table of their statuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsDataProvider,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorLayerJoinInfo,
)
from qgis.gui import QgsMapCanvas

from ..store.queries import Query
from ..store.sources import LayerSource, clear_invented_crs, query_sources
from ..store.workspace import Workspace
from .group import LayerGroup
from .highlight import to_canvas
from .memory_layers import status_layer
from .overlapping_pictures import OverlappingPictures
from .styling import STATUS_FIELD, style_queries


@dataclass(frozen=True)
class Region:
    """The region of a query.

    Attributes:
        geometry: a polygon.
        crs: the CRS of its coordinates.
    """

    geometry: QgsGeometry
    crs: QgsCoordinateReferenceSystem


class QueryLayers:
    """The layers of the queries, one for each CRS; they change their sources from round to round.

    Args:
        canvas: the map canvas.
        group: the group that the layers are added to.
        pictures: the pictures that overlap.

    Attributes:
        layers: the layers.
    """

    def __init__(self, canvas: QgsMapCanvas, group: LayerGroup, pictures: OverlappingPictures) -> None:
        self.layers: list[QgsVectorLayer] = []
        self._canvas = canvas
        self._group = group
        self._pictures = pictures
        self._statuses = status_layer()
        self._rows: dict[str, int] = {}
        group.add_private(self._statuses)

    def show_round(self, workspace: Workspace) -> None:
        """Show the queries of a workspace's present round.

        Args:
            workspace: the workspace.

        Raises:
            WorkspaceProblem: the queries cannot be opened.
        """
        sources = query_sources(workspace, workspace.round)
        while len(self.layers) > len(sources):
            QgsProject.instance().removeMapLayer(self.layers.pop().id())
        for number, source in enumerate(sources):
            if number < len(self.layers):
                layer = self.layers[number]
                layer.setDataSource(
                    source.uri, source.name, source.provider, QgsDataProvider.ProviderOptions()
                )
            else:
                layer = self._open(source)
            clear_invented_crs(layer, workspace)
            self._pictures.filter_layer(layer)
            layer.setName(f"queries of round {workspace.round}")

    def reload(self) -> None:
        """Read the layers' sources again: the live session has added queries."""
        for layer in self.layers:
            layer.dataProvider().reloadData()
            layer.triggerRepaint()

    def read(self) -> list[Query]:
        """Read the queries from the layers."""
        found = []
        for number, layer in enumerate(self.layers):
            request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
            found += [_query(feature, number) for feature in layer.getFeatures(request)]
        return found

    def region(self, query: Query) -> Region:
        """Read the region of a query.

        Args:
            query: one that ``read`` returned.

        Returns:
            The region.
        """
        layer = self.layers[query.layer]
        return Region(layer.getFeature(query.fid).geometry(), layer.crs())

    def find_at(self, point: QgsPointXY) -> str | None:
        """Find the query at a point.

        Args:
            point: in the canvas's CRS.

        Returns:
            The query's qid; None if no query that is shown contains the point.
        """
        for layer in self.layers:
            transform = to_canvas(self._canvas, layer.crs())
            position = transform.transform(point, Qgis.TransformDirection.Reverse)
            geometry = QgsGeometry.fromPointXY(position)
            box = QgsRectangle(position.x(), position.y(), position.x(), position.y())
            for feature in layer.getFeatures(QgsFeatureRequest().setFilterRect(box)):
                hidden = self._pictures.hides(str(feature["scene"]))
                if not hidden and feature.geometry().intersects(geometry):
                    return str(feature["qid"])
        return None

    def set_statuses(self, statuses: Mapping[str, str]) -> None:
        """Change the statuses by which the queries are styled.

        Args:
            statuses: qid → status, of a few queries or of all.
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
        for each in self.layers:
            each.triggerRepaint()

    def layer_ids(self) -> set[str]:
        """Return the ids of the layers and of the table of statuses, which a session needs."""
        return {layer.id() for layer in (*self.layers, self._statuses)}

    def _open(self, source: LayerSource) -> QgsVectorLayer:
        layer = source.open()
        layer.setReadOnly(True)
        self._join_statuses(layer)
        style_queries(layer)
        self.layers.append(layer)
        self._group.add(layer, "queries")
        return layer

    def _join_statuses(self, layer: QgsVectorLayer) -> None:
        join = QgsVectorLayerJoinInfo()
        join.setJoinLayer(self._statuses)
        join.setJoinFieldName("qid")
        join.setTargetFieldName("qid")
        join.setUsingMemoryCache(True)
        join.setPrefix("")
        join.setJoinFieldNamesSubset([STATUS_FIELD])
        layer.addJoin(join)


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
