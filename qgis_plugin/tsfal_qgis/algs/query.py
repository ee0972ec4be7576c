"""The algorithm that selects new queries without training."""

from __future__ import annotations

from typing import Any

from ..compat import tr
from .base import EngineAlgorithm, ParameterValues, option
from .parameters import (
    WORKSPACE,
    add_query_outputs,
    choice_parameter,
    query_outputs,
    share_parameter,
    workspace_parameter,
)

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
        self.add(
            choice_parameter("STRATEGY", tr("Query strategy; empty: that of the workspace"), _STRATEGIES)
        )
        self.add(share_parameter("BUDGET", tr("Labelled share at the end")), advanced=True)
        add_query_outputs(self)

    def arguments(self, values: ParameterValues) -> list[str]:  # noqa: D102
        words = ["query", *option("workspace", values.path(WORKSPACE))]
        return words + option("strategy", values.text("STRATEGY")) + option("budget", values.number("BUDGET"))

    def outputs(self, values: ParameterValues, result: dict[str, Any]) -> dict[str, Any]:  # noqa: D102
        return query_outputs(values.path(WORKSPACE), result)
