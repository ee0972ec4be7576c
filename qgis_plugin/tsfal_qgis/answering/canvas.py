"""The annotator's tools on the canvas, and the project's settings that they need and restore at the end."""

from __future__ import annotations

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
from qgis.PyQt.QtCore import QObject, Qt, pyqtSignal

from ..compat import AVOID_LAYERS, SNAP_TO_ALL, SNAP_TO_CORNERS
from ..store.workspace import Scene
from .maptools import PickPlace, PickPoint, PixelBrush, PolygonTool

_SNAP_PIXELS = 10


class CanvasTools(QObject):
    """The polygon tool, the brush, the picking and the hunting tool, of which at most one is active.

    Args:
        iface: QGIS's interface.

    Attributes:
        active: ``polygon``, ``brush``, ``pick``, ``hunt``, or empty while one of QGIS's own tools is active.
        brush: the brush.
        hunt: the tool that labels places.
    """

    drawn = pyqtSignal(QgsFeature)
    painted = pyqtSignal(QgsGeometry)
    picked = pyqtSignal(QgsPointXY)
    hunted = pyqtSignal(QgsPointXY, int)
    tool_changed = pyqtSignal()

    def __init__(self, iface: Any) -> None:
        super().__init__()
        self._iface = iface
        self._canvas = iface.mapCanvas()
        self.active = ""
        self.brush = PixelBrush(self._canvas)
        self.hunt = PickPlace(self._canvas)
        self._tools: dict[str, QgsMapTool] = {
            "polygon": PolygonTool(self._canvas, iface.cadDockWidget()),
            "brush": self.brush,
            "pick": PickPoint(self._canvas, Qt.CursorShape.PointingHandCursor),
            "hunt": self.hunt,
        }
        self._tools["polygon"].digitizingCompleted.connect(self.drawn)
        self.brush.painted.connect(self.painted)
        self._tools["pick"].picked.connect(self.picked)
        self.hunt.picked.connect(self.hunted)
        self._canvas.mapToolSet.connect(self._tool_set)
        self._settings_before: tuple[Any, ...] | None = None

    @property
    def drawing(self) -> bool:
        """True while the number keys choose the class to draw with."""
        return self.active in ("polygon", "brush", "hunt")

    def toggle(self, name: str, scene: Scene, layer: QgsVectorLayer) -> None:
        """Activate a tool, or deactivate it if it is active.

        Args:
            name: one of those that ``active`` can be.
            scene: the scene that the brush paints.
            layer: the layer of labels, which the polygon tool digitises for.
        """
        if self.active == name:
            self.deactivate()
            return
        self.brush.scene = scene
        self._iface.setActiveLayer(layer)
        self._tools["polygon"].setLayer(layer)
        self._canvas.setMapTool(self._tools[name])
        self._canvas.setFocus()

    def deactivate(self) -> None:
        """Activate QGIS's pan tool in place of one of these."""
        if self.active:
            self._iface.actionPan().trigger()

    def prepare_project(self, crs: QgsCoordinateReferenceSystem | None) -> None:
        """Set the snapping, and the CRS of an empty project.

        Args:
            crs: the CRS; None to leave it.
        """
        project = QgsProject.instance()
        if crs is not None and not project.mapLayers():
            project.setCrs(crs)
        self._settings_before = (
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

    def allow_overlaps(self) -> None:
        """Let new polygons cover others: QGIS clips them at no layer, the store cuts what lies below."""
        project = QgsProject.instance()
        project.setAvoidIntersectionsMode(AVOID_LAYERS)
        project.setAvoidIntersectionsLayers([])

    def restore_project(self) -> None:
        """Restore the snapping that `prepare_project` changed."""
        if self._settings_before is not None:
            project = QgsProject.instance()
            snapping, mode, ids = self._settings_before
            project.setSnappingConfig(snapping)
            project.setAvoidIntersectionsMode(mode)
            project.setAvoidIntersectionsLayers(
                [project.mapLayer(each) for each in ids if project.mapLayer(each)]
            )
            self._settings_before = None

    def remove(self) -> None:
        """Remove the tools from the canvas."""
        self._canvas.mapToolSet.disconnect(self._tool_set)
        self.deactivate()
        for tool in self._tools.values():
            self._canvas.unsetMapTool(tool)
        self.brush.remove()
        self.hunt.remove()

    def _tool_set(self, tool: QgsMapTool | None, _before: QgsMapTool | None = None) -> None:
        self.active = next((name for name, each in self._tools.items() if each is tool), "")
        self.tool_changed.emit()
