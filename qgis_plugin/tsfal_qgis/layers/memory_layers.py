"""Layers in memory: the outlines of chips, and the statuses of queries."""

from __future__ import annotations

from collections.abc import Iterator

from qgis.core import QgsFeature, QgsGeometry, QgsPointXY, QgsVectorLayer

from ..store.shapes import same_crs, scene_crs
from ..store.workspace import Scene, Workspace
from .styling import STATUS_FIELD, style_chips


def status_layer() -> QgsVectorLayer:
    """Make an empty table of queries' statuses."""
    return _memory_layer(f"None?field=qid:string&field={STATUS_FIELD}:string", "statuses")


def chips_layer(workspace: Workspace) -> QgsVectorLayer | None:
    """Make the layer of the outlines of chips.

    Args:
        workspace: the workspace.

    Returns:
        The layer, with the scenes in the first scene's CRS; None if the size of chips is not known.
    """
    size = workspace.chip_size()
    if size is None or not workspace.scenes:
        return None
    layer = _memory_layer("MultiPolygon?field=chip:string&field=scene:string", "chips")
    layer.setCrs(scene_crs(workspace.scenes[0]))
    layer.dataProvider().addFeatures(list(_chips(layer, workspace, size)))
    style_chips(layer)
    return layer


def _memory_layer(uri: str, name: str) -> QgsVectorLayer:
    layer = QgsVectorLayer(uri, name, "memory")
    layer.setCustomProperty("skipMemoryLayersCheck", 1)
    return layer


def _chips(layer: QgsVectorLayer, workspace: Workspace, size: int) -> Iterator[QgsFeature]:
    for scene in workspace.scenes:
        if same_crs(scene_crs(scene), layer.crs()):
            for row in range(0, scene.height, size):
                for column in range(0, scene.width, size):
                    yield _chip(layer, scene, row, column, size)


def _chip(layer: QgsVectorLayer, scene: Scene, row: int, column: int, size: int) -> QgsFeature:
    right, bottom = min(column + size, scene.width), min(row + size, scene.height)
    corners = ((column, row), (right, row), (right, bottom), (column, bottom))
    feature = QgsFeature(layer.fields())
    feature.setGeometry(QgsGeometry.fromPolygonXY([[QgsPointXY(*scene.corner(*at)) for at in corners]]))
    feature.setAttributes([f"{scene.name} {row // size}-{column // size}", scene.name])
    return feature
