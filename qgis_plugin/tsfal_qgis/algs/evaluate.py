"""The model against label rasters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingOutputNumber, QgsProcessingParameterFileDestination

from ..compat import tr
from .base import RASTER, WORKSPACE, EngineAlgorithm, Given, folder_parameter, option, workspace_parameter

_OUTPUT = "OUTPUT"


class Evaluate(EngineAlgorithm):
    """``tsfal-geo evaluate``."""

    NAME = "evaluate"

    def title(self) -> str:  # noqa: D102
        return tr("Evaluate")

    def help(self) -> str:  # noqa: D102
        return tr(
            "Predicts a folder of rasters wall-to-wall and compares with their label rasters, each "
            "pixel once: IoU of each class, mIoU, overall accuracy, confusion matrix. The JSON file "
            "holds all of them."
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

    def arguments(self, given: Given) -> list[str]:  # noqa: D102
        return [
            "evaluate",
            *option("workspace", given.path(WORKSPACE)),
            *option("raster", given.path(RASTER)),
        ]

    def outputs(self, given: Given, result: dict[str, Any]) -> dict[str, Any]:  # noqa: D102
        outputs = {"MIOU": result["miou"], "ACCURACY": result["accuracy"]}
        target = given.destination(_OUTPUT)
        if target:
            scores = {key: value for key, value in result.items() if key != "artefacts"}
            Path(target).write_text(json.dumps(scores, indent=1, ensure_ascii=False), encoding="utf-8")
            outputs[_OUTPUT] = target
        return outputs
