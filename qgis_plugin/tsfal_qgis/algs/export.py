"""Write the map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFolderDestination,
)

from ..compat import tr
from .base import (
    RASTER,
    WORKSPACE,
    EngineAlgorithm,
    Given,
    area_parameter,
    folder_parameter,
    option,
    workspace_parameter,
)

_OUTPUT, _LAYERS, _POLYGONS, _MIN_AREA, _LOAD = "OUTPUT", "LAYERS", "POLYGONS", "MIN_AREA", "LOAD"
_KINDS = ("confidence", "entropy", "error-mask", "source", "probabilities")
_FORMATS = ("gpkg", "parquet", "fgb")


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
        self.add(folder_parameter(RASTER, tr("Folder of rasters; empty: the workspace's own"), True))
        self.add(_choice(_LAYERS, tr("More rasters of each"), _KINDS, several=True))
        self.add(_choice(_POLYGONS, tr("Polygons too, in this format"), _FORMATS))
        self.add(area_parameter(_MIN_AREA, tr("Smallest polygon in m²")), advanced=True)
        self.add(QgsProcessingParameterBoolean(_LOAD, tr("Add the maps to the project"), False))
        self.add(QgsProcessingParameterFolderDestination(_OUTPUT, tr("Folder of the maps")))
        self.addOutput(QgsProcessingOutputMultipleLayers("MAPS", tr("Maps")))

    def arguments(self, given: Given) -> list[str]:  # noqa: D102
        words = ["export", *option("workspace", given.path(WORKSPACE)), *option("raster", given.path(RASTER))]
        words += option("out", given.folder(_OUTPUT)) + [f"--{kind}" for kind in given.choices(_LAYERS)]
        return words + option("polygons", given.text(_POLYGONS)) + option("min-area", given.number(_MIN_AREA))

    def outputs(self, given: Given, result: dict[str, Any]) -> dict[str, Any]:  # noqa: D102
        maps = [str(path) for path in result["maps"]]
        if given.yes(_LOAD):
            for path in maps:
                details = QgsProcessingContext.LayerDetails(Path(path).stem, given.context.project(), _OUTPUT)
                given.context.addLayerToLoadOnCompletion(path, details)
        return {_OUTPUT: given.folder(_OUTPUT), "MAPS": maps}


def _choice(
    name: str, text: str, values: tuple[str, ...], several: bool = False
) -> QgsProcessingParameterEnum:
    return QgsProcessingParameterEnum(name, text, list(values), several, None, True, usesStaticStrings=True)
