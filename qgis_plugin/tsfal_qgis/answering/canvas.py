"""The canvas's tools and the project's settings that they need; everything is given back in the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsSnappingConfig,
    QgsTolerance,
    QgsVectorLayer,
)
from qgis.gui import QgsMapTool
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..compat import AVOID_LAYERS, SNAP_TO_ALL, SNAP_TO_CORNERS
from ..store.workspace import Scene
from .maptools import PickQuery, PixelBrush, PolygonTool

_SNAP_PIXELS = 10


class Canvas(QObject):
    """Which tool is in the hand.

    Attributes:
        tool: ``polygon``, ``brush``, ``pick``, or empty for any of QGIS's own.
        brush: the brush.
    """

    drawn = pyqtSignal(QgsFeature)
    painted = pyqtSignal(QgsGeometry)
    picked = pyqtSignal(QgsPointXY)
    tool_changed = pyqtSignal()

    def __init__(self, iface: Any) -> None:
        super().__init__()
        self._iface = iface
        self._canvas = iface.mapCanvas()
        self.tool = ""
        self.brush = PixelBrush(self._canvas)
        self._tools: dict[str, QgsMapTool] = {
            "polygon": PolygonTool(self._canvas, iface.cadDockWidget()),
            "brush": self.brush,
            "pick": PickQuery(self._canvas),
        }
        self._tools["polygon"].digitizingCompleted.connect(self.drawn)
        self.brush.painted.connect(self.painted)
        self._tools["pick"].picked.connect(self.picked)
        self._canvas.mapToolSet.connect(self._tool_set)
        self._before: tuple[Any, ...] | None = None

    @property
    def drawing(self) -> bool:
        """Whether number keys choose what is drawn with."""
        return self.tool in ("polygon", "brush")

    def toggle(self, name: str, scene: Scene, layer: QgsVectorLayer) -> None:
        """Take a tool into the hand, or lay it down."""
        if self.tool == name:
            self.rest()
            return
        self.brush.scene = scene
        self._iface.setActiveLayer(layer)
        self._tools["polygon"].setLayer(layer)
        self._canvas.setMapTool(self._tools[name])
        self._canvas.setFocus()

    def rest(self) -> None:
        """Lay the tool down."""
        if self.tool:
            self._iface.actionPan().trigger()

    def prepare_project(self, crs: QgsCoordinateReferenceSystem | None) -> None:
        """Set CRS (of an empty project) and snapping."""
        project = QgsProject.instance()
        if crs is not None and not project.mapLayers():
            project.setCrs(crs)
        self._before = (
            project.snappingConfig(),
            project.avoidIntersectionsMode(),
            [layer.id() for layer in project.avoidIntersectionsLayers()],
        )
        snapping = QgsSnappingConfig(project)
        snapping.setEnabled(True)
        snapping.setMode(SNAP_TO_ALL)
        snapping.setTypeFlag(SNAP_TO_CORNERS)
        snapping.setTolerance(_SNAP_PIXELS)
        snapping.setUnits(QgsTolerance.UnitType.Pixels)
        project.setSnappingConfig(snapping)

    def avoid_overlaps(self, layers: Sequence[QgsVectorLayer]) -> None:
        """Cut new polygons at those of some layers."""
        project = QgsProject.instance()
        project.setAvoidIntersectionsMode(AVOID_LAYERS)
        project.setAvoidIntersectionsLayers(list(layers))

    def restore_project(self) -> None:
        """Give snapping back as it was."""
        if self._before is not None:
            project = QgsProject.instance()
            snapping, mode, ids = self._before
            project.setSnappingConfig(snapping)
            project.setAvoidIntersectionsMode(mode)
            project.setAvoidIntersectionsLayers(
                [project.mapLayer(each) for each in ids if project.mapLayer(each)]
            )
            self._before = None

    def remove(self) -> None:
        """Take the tools away."""
        self._canvas.mapToolSet.disconnect(self._tool_set)
        self.rest()
        for tool in self._tools.values():
            self._canvas.unsetMapTool(tool)
        self.brush.remove()

    def _tool_set(self, tool: QgsMapTool | None, _before: QgsMapTool | None = None) -> None:
        self.tool = next((name for name, each in self._tools.items() if each is tool), "")
        self.tool_changed.emit()
