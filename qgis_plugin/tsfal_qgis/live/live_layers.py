"""The layers of the live map: one for each scene in view, whose file changes under the hand."""

from __future__ import annotations

from pathlib import Path

from qgis.core import Qgis, QgsDataProvider, QgsProject, QgsRasterLayer, QgsRectangle
from qgis.gui import QgsMapCanvas

from ..layers.group import LayerGroup
from ..layers.highlight import to_canvas
from ..layers.styling import style_raster
from ..store.shapes import scene_crs
from ..store.workspace import ClassInfo, Scene

KIND = "live"
_MOST = 4
_OPACITY = 0.45


class LiveLayers:
    """The live map in the layer tree, hidden at first: nothing covers what is judged.

    Args:
        canvas: the map canvas.
        group: the workspace's group.
        classes: the class map.
        title: of the layers' group.
    """

    def __init__(
        self, canvas: QgsMapCanvas, group: LayerGroup, classes: tuple[ClassInfo, ...], title: str
    ) -> None:
        self._canvas = canvas
        self._group = group
        self._classes = classes
        self._ids: dict[str, str] = {}
        group.add_kind(KIND, title, shown=False, expanded=False, above="refined")

    @property
    def shown(self) -> bool:
        """True if the live map is visible."""
        node = self._group.find_kind(KIND)
        return node is not None and node.itemVisibilityChecked()

    def show(self, shown: bool) -> None:
        """Show or hide the live map.

        Args:
            shown: True to show it.
        """
        node = self._group.find_kind(KIND)
        if node is not None:
            node.setItemVisibilityChecked(shown)

    def change(self, path: Path, scene: Scene) -> None:
        """Show a new file of a scene; view, style and visibility do not change.

        Args:
            path: GeoTIFF whose first band holds class ids.
            scene: the scene.
        """
        project = QgsProject.instance()
        layer = project.mapLayer(self._ids.get(scene.name, ""))
        if layer is None:
            options = QgsRasterLayer.LayerOptions()
            options.loadDefaultStyle = False
            layer = QgsRasterLayer(str(path), scene.name, "gdal", options)
            style_raster(layer, "prediction", self._classes)
            layer.setOpacity(_OPACITY)
            self._ids[scene.name] = layer.id()
            self._group.add(layer, KIND, expanded=False)
        else:
            layer.setDataSource(str(path), scene.name, "gdal", QgsDataProvider.ProviderOptions())
            layer.triggerRepaint()

    def views(self, scenes: list[Scene]) -> list[dict[str, object]]:
        """Return the parts of the scenes that the canvas shows, for the message ``look``.

        Args:
            scenes: those that are shown.

        Returns:
            Scene and bounds of at most four, the largest parts first.
        """
        found = []
        for scene in scenes:
            box = self._visible(scene)
            if not box.isEmpty():
                bounds = [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]
                found.append((box.area(), {"scene": scene.name, "bounds": bounds}))
        found.sort(key=lambda pair: -pair[0])
        return [view for _, view in found[:_MOST]]

    def _visible(self, scene: Scene) -> QgsRectangle:
        transform = to_canvas(self._canvas, scene_crs(scene))
        box = transform.transformBoundingBox(self._canvas.extent(), Qgis.TransformDirection.Reverse)
        corners = scene.outline()
        columns, rows = [x for x, _ in corners], [y for _, y in corners]
        return box.intersect(QgsRectangle(min(columns), min(rows), max(columns), max(rows)))
