"""The algorithm that trains a round and selects queries."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingParameterFile

from ..compat import tr
from .base import EngineAlgorithm, ParameterValues, option
from .parameters import (
    RASTER,
    WORKSPACE,
    add_query_outputs,
    count_parameter,
    folder_parameter,
    query_outputs,
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
            "Trains the next round of a workspace on all its labels, then selects the queries whose answers "
            "would help most. A workspace that does not exist yet is created for the folder of rasters. A "
            "run that was stopped resumes where it stopped."
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
        add_query_outputs(self)

    def arguments(self, values: ParameterValues) -> list[str]:  # noqa: D102
        words = ["train", *option("workspace", values.path(WORKSPACE))]
        words += option("raster", values.path(RASTER))
        words += option("val", values.path("VAL")) + option("config", values.path("CONFIG"))
        for name in ("LABELLED", "BUDGET", "ROUNDS", "STEPS"):
            words += option(name.lower(), values.number(name))
        for line in values.lines("SETTINGS"):
            words += option("set", line)
        return words

    def outputs(self, values: ParameterValues, result: dict[str, Any]) -> dict[str, Any]:  # noqa: D102
        return query_outputs(values.path(WORKSPACE), result)
