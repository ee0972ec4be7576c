"""The maps that an export has written, in the workspace's group."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qgis.core import QgsProject, QgsRasterLayer

from .layers import LayerSet
from .styling import style_raster


def show_maps(layers: LayerSet, paths: Sequence[str]) -> None:
    """Show maps below labels and queries; a map that is shown already is replaced.

    Args:
        layers: the workspace's.
        paths: of the maps.
    """
    project = QgsProject.instance()
    maps = layers.group.findGroup("Maps") or layers.group_below_labels("Maps")
    for path in paths:
        for node in maps.findLayers():
            if node.layer() is not None and node.layer().source() == path:
                project.removeMapLayer(node.layerId())
        layer = QgsRasterLayer(path, Path(path).stem)
        if layer.isValid():
            style_raster(layer, "prediction", layers.workspace.classes)
            layer.setOpacity(1)
            project.addMapLayer(layer, False)
            maps.addLayer(layer).setExpanded(False)
