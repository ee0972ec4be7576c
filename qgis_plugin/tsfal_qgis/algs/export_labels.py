"""The algorithm that exports labels."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingOutputString,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
)

from ..compat import tr
from .base import EngineAlgorithm, ParameterValues, option
from .parameters import WORKSPACE, workspace_parameter

_OUTPUT, _ROUND = "OUTPUT", "ROUND"
_FILTER = (
    "GeoPackage (*.gpkg);;GeoJSON (*.geojson);;FlatGeobuf (*.fgb);;GeoParquet (*.parquet);;COCO (*.json)"
)


class ExportLabels(EngineAlgorithm):
    """``tsfal-geo labels export``."""

    NAME = "exportlabels"

    def title(self) -> str:  # noqa: D102
        return tr("Export labels")

    def help(self) -> str:  # noqa: D102
        return tr(
            "Writes the labels of all annotators to one file, as the next round would train on them; with a "
            "round, those that it trained on. The ending of the file decides its format."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:  # noqa: D102
        self.add(workspace_parameter())
        kind = QgsProcessingParameterNumber.Type.Integer
        text = tr("Round; empty: the labels of now")
        self.add(QgsProcessingParameterNumber(_ROUND, text, kind, None, True, 0), advanced=True)
        self.add(QgsProcessingParameterFileDestination(_OUTPUT, tr("File of labels"), _FILTER))
        self.addOutput(QgsProcessingOutputString("FILES", tr("Files")))

    def arguments(self, values: ParameterValues) -> list[str]:  # noqa: D102
        words = [
            "labels",
            "export",
            values.destination(_OUTPUT),
            *option("workspace", values.path(WORKSPACE)),
        ]
        return words + option("round", values.number(_ROUND))

    def outputs(self, values: ParameterValues, result: dict[str, Any]) -> dict[str, Any]:  # noqa: D102
        return {_OUTPUT: values.destination(_OUTPUT), "FILES": "\n".join(map(str, result["files"]))}
