"""Random queries: what every other strategy must beat."""

from __future__ import annotations

from tsfal_geo.active.outputs import ChipOutputs
from tsfal_geo.active.strategies.base import CellScores, Strategy, register


@register
class Random(Strategy):
    """Regions of all chips, each as likely as any other."""

    name = "random"
    reason = "drawn at random"

    def score(self, outputs: ChipOutputs) -> CellScores:
        """No preference."""
        return CellScores(None, outputs.askable > 0)
