"""The raster layers of scenes: made once, moved from file to file, made again where the user removed them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qgis.core import QgsDataProvider, QgsProject, QgsRasterLayer

from ..store.workspace import KINDS, ClassInfo
from . import styling as dressing


class Rasters:
    """One layer for each kind and slot; what the user changed of it stays when it is moved.

    Args:
        classes: of class rasters.
    """

    def __init__(self, classes: Sequence[ClassInfo]) -> None:
        self._classes = classes
        self._project = QgsProject.instance()
        self._ids: dict[tuple[str, str], str] = {}  # ids: the user may remove any layer

    def show(self, path: Path, slot: str, name: str, kind: str) -> QgsRasterLayer | None:
        """Show a file, or nothing where it is not there; returns a new layer, which is to be added.

        Args:
            path: the raster.
            slot: which of the kind's layers shows it.
            name: what the layer is called then.
            kind: one of ``KINDS``, or ``orthophoto``, which keeps the look that QGIS gives it.
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
                dressing.raster(layer, kind, self._classes)
            self._ids[kind, slot] = layer.id()
            return layer
        elif layer.source() != str(path):
            layer.setDataSource(str(path), name, "gdal", QgsDataProvider.ProviderOptions())
            layer.triggerRepaint()
        return None
