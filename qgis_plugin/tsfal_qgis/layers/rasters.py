"""The raster layers of scenes: they change their files from round to round, and are made again if removed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qgis.core import QgsDataProvider, QgsProject, QgsRasterLayer

from ..store.workspace import KINDS, ClassInfo
from .styling import smooth, style_raster


class RasterLayers:
    """One layer for each kind and slot; the user's changes to its style stay when its file changes.

    Args:
        classes: the class map, for rasters of classes.
    """

    def __init__(self, classes: Sequence[ClassInfo]) -> None:
        self._classes = classes
        self._project = QgsProject.instance()
        self._ids: dict[tuple[str, str], str] = {}  # ids, because the user may remove any layer

    def show(self, path: Path, slot: str, name: str, kind: str) -> QgsRasterLayer | None:
        """Show a file, or remove its layer if the file does not exist.

        Args:
            path: the raster.
            slot: key of the kind's layer that shows it.
            name: the layer's name from now on.
            kind: one of ``KINDS``, or ``orthophoto``, which keeps QGIS's default colours.

        Returns:
            A new layer, which the caller adds to the project; None if the layer existed or was removed.
        """
        layer = self._project.mapLayer(self._ids.get((kind, slot), ""))
        if not path.is_file():
            if layer is not None:
                self._project.removeMapLayer(self._ids.pop((kind, slot)))
        elif layer is None:
            options = QgsRasterLayer.LayerOptions()
            options.loadDefaultStyle = False
            layer = QgsRasterLayer(str(path), name, "gdal", options)
            if kind in KINDS:
                style_raster(layer, kind, self._classes)
            else:
                smooth(layer)
            self._ids[kind, slot] = layer.id()
            return layer
        elif layer.source() != str(path):
            layer.setDataSource(str(path), name, "gdal", QgsDataProvider.ProviderOptions())
            layer.triggerRepaint()
        return None
