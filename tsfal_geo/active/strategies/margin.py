"""Margin sampling: ask where the two likeliest classes are close (PixelPick's choice)."""

from __future__ import annotations

from tsfal_geo.active.outputs import ChipOutputs
from tsfal_geo.active.strategies.base import CellScores, Strategy, register


@register
class Margin(Strategy):
    """Cells of the smallest difference between the two largest probabilities."""

    name = "margin"
    reason = "two classes close"

    def score(self, outputs: ChipOutputs) -> CellScores:
        """1 minus the margin."""
        first, second = outputs.probs.topk(2, dim=0).values
        return CellScores(1 - (first - second), outputs.askable > 0)
