"""Ask anew, without training."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingOutputNumber, QgsProcessingOutputString, QgsProcessingParameterEnum

from ..compat import tr
from .base import WORKSPACE, EngineAlgorithm, Given, option, share_parameter, workspace_parameter
from .train import asked

_STRATEGIES = (
    "plar",
    "emd",
    "random",
    "entropy",
    "margin",
    "coreset",
    "qbc",
    "vaal",
    "deal_ds",
    "deal_de",
    "s4al",
)


class Query(EngineAlgorithm):
    """``tsfal-geo query``."""

    NAME = "query"

    def title(self) -> str:  # noqa: D102
        return tr("Query")

    def help(self) -> str:  # noqa: D102
        return tr("Writes a new round of queries from the last round's model, without training.")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:  # noqa: D102
        self.add(workspace_parameter())
        names = list(_STRATEGIES)
        text = tr("How queries are chosen; empty: as before")
        self.add(
            QgsProcessingParameterEnum("STRATEGY", text, names, False, None, True, usesStaticStrings=True)
        )
        self.add(share_parameter("BUDGET", tr("Labelled share at the end")), advanced=True)
        self.addOutput(QgsProcessingOutputNumber("ROUND", tr("Round")))
        self.addOutput(QgsProcessingOutputString("STATUS", tr("Status")))
        self.addOutput(QgsProcessingOutputString("QUERIES", tr("Queries (GeoPackage)")))

    def arguments(self, given: Given) -> list[str]:  # noqa: D102
        words = ["query", *option("workspace", given.path(WORKSPACE))]
        return words + option("strategy", given.text("STRATEGY")) + option("budget", given.number("BUDGET"))

    def outputs(self, given: Given, result: dict[str, Any]) -> dict[str, Any]:  # noqa: D102
        return asked(given.path(WORKSPACE), result)
