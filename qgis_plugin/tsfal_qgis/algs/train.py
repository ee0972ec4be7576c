"""Train a round, then ask."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingOutputNumber, QgsProcessingOutputString, QgsProcessingParameterFile

from ..compat import tr
from .base import (
    RASTER,
    WORKSPACE,
    EngineAlgorithm,
    Given,
    count_parameter,
    folder_parameter,
    option,
    queries_file,
    share_parameter,
    text_parameter,
    workspace_parameter,
)


class Train(EngineAlgorithm):
    """``tsfal-geo train``."""

    NAME = "train"

    def title(self) -> str:  # noqa: D102
        return tr("Train")

    def help(self) -> str:  # noqa: D102
        return tr(
            "Trains the next round of a workspace with all labels that are there, then asks for the "
            "labels that would help most. A workspace that does not exist yet is made for the folder "
            "of rasters. A run that was stopped goes on where it stopped."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:  # noqa: D102
        self.add(workspace_parameter())
        self.add(folder_parameter(RASTER, tr("Folder of rasters, for a new workspace"), True))
        self.add(folder_parameter("VAL", tr("Folder of rasters with labels for validation"), True))
        self.add(share_parameter("LABELLED", tr("Share of the labelled chips to use")), advanced=True)
        self.add(share_parameter("BUDGET", tr("Labelled share at the end")), advanced=True)
        self.add(count_parameter("ROUNDS", tr("Rounds of queries")), advanced=True)
        self.add(count_parameter("STEPS", tr("Steps of the first round")), advanced=True)
        config = QgsProcessingParameterFile("CONFIG", tr("Configuration (YAML)"), optional=True)
        self.add(config, advanced=True)
        self.add(text_parameter("SETTINGS", tr("Settings, one key=value a line"), True), advanced=True)
        self.addOutput(QgsProcessingOutputNumber("ROUND", tr("Round")))
        self.addOutput(QgsProcessingOutputString("STATUS", tr("Status")))
        self.addOutput(QgsProcessingOutputString("QUERIES", tr("Queries (GeoPackage)")))

    def arguments(self, given: Given) -> list[str]:  # noqa: D102
        words = ["train", *option("workspace", given.path(WORKSPACE)), *option("raster", given.path(RASTER))]
        words += option("val", given.path("VAL")) + option("config", given.path("CONFIG"))
        for name in ("LABELLED", "BUDGET", "ROUNDS", "STEPS"):
            words += option(name.lower(), given.number(name))
        for line in given.lines("SETTINGS"):
            words += option("set", line)
        return words

    def outputs(self, given: Given, result: dict[str, Any]) -> dict[str, Any]:  # noqa: D102
        return asked(given.path(WORKSPACE), result)


def asked(workspace: str, result: dict[str, Any]) -> dict[str, Any]:
    """The outputs of what ends with queries: ROUND, STATUS and QUERIES."""
    number = int(result["round"])
    return {"ROUND": number, "STATUS": result["status"], "QUERIES": queries_file(workspace, number)}
