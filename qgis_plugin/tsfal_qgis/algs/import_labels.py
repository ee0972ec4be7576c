"""Labels from elsewhere."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterCrs,
    QgsProcessingParameterFile,
)

from ..compat import tr
from .base import WORKSPACE, EngineAlgorithm, Given, option, text_parameter, workspace_parameter


class ImportLabels(EngineAlgorithm):
    """``tsfal-geo labels import``."""

    NAME = "importlabels"

    def title(self) -> str:  # noqa: D102
        return tr("Import labels")

    def help(self) -> str:  # noqa: D102
        return tr(
            "Brings labels into a workspace: GeoPackage, GeoJSON, Shapefile, FlatGeobuf, GeoParquet, "
            "or a GeoTIFF of classes. Classes are matched by the pairs, by id, or by name; a value "
            "that is none of these stops the import and is told."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:  # noqa: D102
        self.add(workspace_parameter())
        self.add(QgsProcessingParameterFile("INPUT", tr("File of labels")))
        self.add(text_parameter("FIELD", tr("Column that holds the class")))
        self.add(text_parameter("MAP", tr("Pairs value=class, one a line (empty class: leave out)"), True))
        self.add(text_parameter("LAYER", tr("Layer of a file with several")), advanced=True)
        self.add(text_parameter("SCENE", tr("The scene that all of it is about")), advanced=True)
        self.add(text_parameter("AUTHOR", tr("Who made it")), advanced=True)
        crs = QgsProcessingParameterCrs("CRS", tr("CRS of a file that does not say"), None, True)
        self.add(crs, advanced=True)
        self.addOutput(QgsProcessingOutputNumber("LABELS", tr("Labels brought in")))
        self.addOutput(QgsProcessingOutputString("FILE", tr("File in the workspace")))

    def arguments(self, given: Given) -> list[str]:  # noqa: D102
        words = ["labels", "import", given.path("INPUT"), *option("workspace", given.path(WORKSPACE))]
        for name in ("FIELD", "LAYER", "SCENE", "AUTHOR", "CRS"):
            words += option(name.lower(), given.text(name))
        for line in given.lines("MAP"):
            words += option("map", line)
        return words

    def outputs(self, given: Given, result: dict[str, Any]) -> dict[str, Any]:  # noqa: D102
        return {"LABELS": result["labels"], "FILE": str(result.get("kept") or "")}
