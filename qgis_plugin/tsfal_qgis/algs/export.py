"""The algorithm that writes the map."""

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
from .base import EngineAlgorithm, ParameterValues, option
from .parameters import (
    RASTER,
    WORKSPACE,
    area_parameter,
    choice_parameter,
    folder_parameter,
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
            "Maps every raster of a folder with the workspace's model. Each map is a cloud-optimised GeoTIFF "
            "with the raster's name and grid, and with the names and colours of the classes."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:  # noqa: D102
        self.add(workspace_parameter())
        self.add(folder_parameter(RASTER, tr("Folder of rasters; empty: the workspace's own"), True))
        self.add(choice_parameter(_LAYERS, tr("Further rasters for each map"), _KINDS, several=True))
        self.add(choice_parameter(_POLYGONS, tr("Also write polygons, in this format"), _FORMATS))
        self.add(area_parameter(_MIN_AREA, tr("Smallest polygon in m²")), advanced=True)
        self.add(QgsProcessingParameterBoolean(_LOAD, tr("Add the maps to the project"), False))
        self.add(QgsProcessingParameterFolderDestination(_OUTPUT, tr("Folder of the maps")))
        self.addOutput(QgsProcessingOutputMultipleLayers("MAPS", tr("Maps")))

    def arguments(self, values: ParameterValues) -> list[str]:  # noqa: D102
        words = ["export", *option("workspace", values.path(WORKSPACE))]
        words += option("raster", values.path(RASTER)) + option("out", values.folder(_OUTPUT))
        words += [f"--{kind}" for kind in values.choices(_LAYERS)]
        words += option("polygons", values.text(_POLYGONS))
        return words + option("min-area", values.number(_MIN_AREA))

    def outputs(self, values: ParameterValues, result: dict[str, Any]) -> dict[str, Any]:  # noqa: D102
        maps = [str(path) for path in result["maps"]]
        if values.flag(_LOAD):
            context = values.context
            for path in maps:
                details = QgsProcessingContext.LayerDetails(Path(path).stem, context.project(), _OUTPUT)
                context.addLayerToLoadOnCompletion(path, details)
        return {_OUTPUT: values.folder(_OUTPUT), "MAPS": maps}
