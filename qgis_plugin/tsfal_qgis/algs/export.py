"""The algorithm that writes the map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
)

from ..compat import tr
from .base import EngineAlgorithm, ParameterValues, option
from .parameters import (
    RASTER,
    WORKSPACE,
    area_parameter,
    choice_parameter,
    count_parameter,
    folder_parameter,
    workspace_parameter,
)

_OUTPUT, _LAYERS, _POLYGONS, _MIN_AREA, _LOAD = "OUTPUT", "LAYERS", "POLYGONS", "MIN_AREA", "LOAD"
_AREA, _MOSAIC, _NETWORK, _PREVIEW, _WORKERS = "AREA", "MOSAIC", "NETWORK_ONLY", "PREVIEW", "WORKERS"
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
        self.add(choice_parameter(_MOSAIC, tr("Also write all maps as one"), ("cog", "vrt")))
        self.add(
            QgsProcessingParameterFile(_AREA, tr("Vector file with the area of interest"), optional=True)
        )
        self.add(QgsProcessingParameterBoolean(_PREVIEW, tr("Also write pictures with a legend"), False))
        only = QgsProcessingParameterBoolean(
            _NETWORK, tr("The model's prediction everywhere, no labels"), False
        )
        self.add(only, advanced=True)
        self.add(count_parameter(_WORKERS, tr("Number of processes")), advanced=True)
        self.add(QgsProcessingParameterBoolean(_LOAD, tr("Add the maps to the project"), False))
        self.add(QgsProcessingParameterFolderDestination(_OUTPUT, tr("Folder of the maps")))
        self.addOutput(QgsProcessingOutputMultipleLayers("MAPS", tr("Maps")))

    def arguments(self, values: ParameterValues) -> list[str]:  # noqa: D102
        words = ["export", *option("workspace", values.path(WORKSPACE))]
        words += option("raster", values.path(RASTER)) + option("out", values.folder(_OUTPUT))
        words += [f"--{kind}" for kind in values.choices(_LAYERS)]
        words += option("polygons", values.text(_POLYGONS))
        words += option("min-area", values.number(_MIN_AREA)) + option("mosaic", values.text(_MOSAIC))
        words += option("aoi", values.path(_AREA)) + option("workers", values.number(_WORKERS))
        flags = {"preview": _PREVIEW, "network-only": _NETWORK}
        return words + [f"--{name}" for name, key in flags.items() if values.flag(key)]

    def outputs(self, values: ParameterValues, result: dict[str, Any]) -> dict[str, Any]:  # noqa: D102
        maps = [str(path) for path in result["maps"]]
        if values.flag(_LOAD):
            context = values.context
            for path in maps:
                details = QgsProcessingContext.LayerDetails(Path(path).stem, context.project(), _OUTPUT)
                context.addLayerToLoadOnCompletion(path, details)
        return {_OUTPUT: values.folder(_OUTPUT), "MAPS": maps}
