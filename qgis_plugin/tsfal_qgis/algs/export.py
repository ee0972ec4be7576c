"""Write the map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFolderDestination,
)

from ..compat import tr
from .base import RASTER, WORKSPACE, EngineAlgorithm, Given, folder_parameter, option, workspace_parameter

_OUTPUT, _CONFIDENCE, _LOAD = "OUTPUT", "CONFIDENCE", "LOAD"


class Export(EngineAlgorithm):
    """``tsfal-geo export``."""

    NAME = "export"

    def title(self) -> str:  # noqa: D102
        return tr("Export map")

    def help(self) -> str:  # noqa: D102
        return tr(
            "Maps every raster of a folder wall-to-wall with the workspace's model: a cloud-optimised"
            " GeoTIFF with the raster's name and grid, class names and colours included."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:  # noqa: D102
        self.add(workspace_parameter())
        self.add(folder_parameter(RASTER, tr("Folder of rasters to map; empty: the workspace's own"), True))
        self.add(QgsProcessingParameterBoolean(_CONFIDENCE, tr("Confidence too"), False))
        self.add(QgsProcessingParameterBoolean(_LOAD, tr("Add the maps to the project"), False))
        self.add(QgsProcessingParameterFolderDestination(_OUTPUT, tr("Folder of the maps")))
        self.addOutput(QgsProcessingOutputMultipleLayers("MAPS", tr("Maps")))

    def arguments(self, given: Given) -> list[str]:  # noqa: D102
        words = ["export", *option("workspace", given.path(WORKSPACE)), *option("raster", given.path(RASTER))]
        words += option("out", given.folder(_OUTPUT))
        return [*words, "--confidence"] if given.yes(_CONFIDENCE) else words

    def outputs(self, given: Given, result: dict[str, Any]) -> dict[str, Any]:  # noqa: D102
        maps = [str(path) for path in result["maps"]]
        if given.yes(_LOAD):
            for path in maps:
                details = QgsProcessingContext.LayerDetails(Path(path).stem, given.context.project(), _OUTPUT)
                given.context.addLayerToLoadOnCompletion(path, details)
        return {_OUTPUT: given.folder(_OUTPUT), "MAPS": maps}
