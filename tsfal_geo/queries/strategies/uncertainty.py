"""Baselines from class probabilities alone: entropy, margin, and random queries."""

from __future__ import annotations

from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.strategy import CellScores, Strategy, entropy, register


@register
class Entropy(Strategy):
    """Cells where the teacher's class probabilities have the highest Shannon entropy."""

    name = "entropy"
    reason = "uncertain"
    pool_share = 0.5

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Score cells by entropy, in 0..1; all askable cells are candidates."""
        return CellScores(entropy(outputs.probs), outputs.askable > 0)


@register
class Margin(Strategy):
    """Cells with the smallest difference between the two largest probabilities, as in PixelPick."""

    name = "margin"
    reason = "two classes close"

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Score cells by 1 − margin, in 0..1; all askable cells are candidates."""
        first, second = outputs.probs.topk(2, dim=0).values
        return CellScores(1 - (first - second), outputs.askable > 0)


@register
class Random(Strategy):
    """Regions of all chips with equal probability, the baseline of every other strategy."""

    name = "random"
    reason = "drawn at random"

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Return no scores, so that regions are drawn at random; all askable cells are candidates."""
        return CellScores(None, outputs.askable > 0)
