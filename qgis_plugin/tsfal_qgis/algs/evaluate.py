"""The algorithm that compares the model with label rasters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingOutputNumber, QgsProcessingParameterFileDestination

from ..compat import tr
from .base import EngineAlgorithm, ParameterValues, option
from .parameters import (
    RASTER,
    WORKSPACE,
    folder_parameter,
    workspace_parameter,
)

_OUTPUT = "OUTPUT"


class Evaluate(EngineAlgorithm):
    """``tsfal-geo evaluate``."""

    NAME = "evaluate"

    def title(self) -> str:  # noqa: D102
        return tr("Evaluate")

    def help(self) -> str:  # noqa: D102
        return tr(
            "Predicts every raster of a folder and compares it with its label raster, each pixel once. The "
            "outputs are the mean IoU and the overall accuracy. The JSON file also holds the IoU of each "
            "class and the confusion matrix."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:  # noqa: D102
        self.add(workspace_parameter())
        self.add(folder_parameter(RASTER, tr("Folder of rasters with labels")))
        self.add(
            QgsProcessingParameterFileDestination(
                _OUTPUT, tr("Scores"), "JSON (*.json)", None, True, createByDefault=False
            )
        )
        self.addOutput(QgsProcessingOutputNumber("MIOU", tr("Mean IoU")))
        self.addOutput(QgsProcessingOutputNumber("ACCURACY", tr("Overall accuracy")))

    def arguments(self, values: ParameterValues) -> list[str]:  # noqa: D102
        return [
            "evaluate",
            *option("workspace", values.path(WORKSPACE)),
            *option("raster", values.path(RASTER)),
        ]

    def outputs(self, values: ParameterValues, result: dict[str, Any]) -> dict[str, Any]:  # noqa: D102
        outputs = {"MIOU": result["miou"], "ACCURACY": result["accuracy"]}
        target = values.destination(_OUTPUT)
        if target:
            scores = {key: value for key, value in result.items() if key != "artefacts"}
            Path(target).write_text(json.dumps(scores, indent=1, ensure_ascii=False), encoding="utf-8")
            outputs[_OUTPUT] = target
        return outputs
