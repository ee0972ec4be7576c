"""The algorithm that imports labels."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterCrs,
    QgsProcessingParameterFile,
)

from ..compat import tr
from .base import EngineAlgorithm, ParameterValues, option
from .parameters import (
    WORKSPACE,
    text_parameter,
    workspace_parameter,
)


class ImportLabels(EngineAlgorithm):
    """``tsfal-geo labels import``."""

    NAME = "importlabels"

    def title(self) -> str:  # noqa: D102
        return tr("Import labels")

    def help(self) -> str:  # noqa: D102
        return tr(
            "Imports labels into a workspace from a GeoPackage, GeoJSON, Shapefile, FlatGeobuf or GeoParquet "
            "file, or from a GeoTIFF of classes. Classes are matched by the pairs, by id, or by name. A "
            "value that matches none of these stops the import, and the message names it."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:  # noqa: D102
        self.add(workspace_parameter())
        self.add(QgsProcessingParameterFile("INPUT", tr("File of labels")))
        self.add(text_parameter("FIELD", tr("Column of the class")))
        self.add(text_parameter("MAP", tr("Pairs value=class, one a line (empty class: leave out)"), True))
        self.add(text_parameter("LAYER", tr("Layer, for a file with several")), advanced=True)
        self.add(text_parameter("SCENE", tr("Scene of all labels in the file")), advanced=True)
        self.add(text_parameter("AUTHOR", tr("Author of the labels")), advanced=True)
        crs = QgsProcessingParameterCrs("CRS", tr("CRS, for a file that does not name it"), None, True)
        self.add(crs, advanced=True)
        self.addOutput(QgsProcessingOutputNumber("LABELS", tr("Number of imported labels")))
        self.addOutput(QgsProcessingOutputString("FILE", tr("File in the workspace")))

    def arguments(self, values: ParameterValues) -> list[str]:  # noqa: D102
        words = ["labels", "import", values.path("INPUT"), *option("workspace", values.path(WORKSPACE))]
        for name in ("FIELD", "LAYER", "SCENE", "AUTHOR", "CRS"):
            words += option(name.lower(), values.text(name))
        for line in values.lines("MAP"):
            words += option("map", line)
        return words

    def outputs(self, values: ParameterValues, result: dict[str, Any]) -> dict[str, Any]:  # noqa: D102
        return {"LABELS": result["labels"], "FILE": str(result.get("kept") or "")}
