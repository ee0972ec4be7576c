"""Entropy sampling: ask where the classes' probabilities are most even."""

from __future__ import annotations

from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.strategy import CellScores, Strategy, entropy, register


@register
class Entropy(Strategy):
    """Cells of the highest Shannon entropy of the teacher's probabilities."""

    name = "entropy"
    reason = "uncertain"
    pool_share = 0.5

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Entropy in 0..1."""
        return CellScores(entropy(outputs.probs), outputs.askable > 0)


@register
class Margin(Strategy):
    """Cells of the smallest difference between the two largest probabilities."""

    name = "margin"
    reason = "two classes close"

    def score(self, outputs: ChipOutputs) -> CellScores:
        """1 minus the margin."""
        first, second = outputs.probs.topk(2, dim=0).values
        return CellScores(1 - (first - second), outputs.askable > 0)


@register
class Random(Strategy):
    """Regions of all chips, each as likely as any other."""

    name = "random"
    reason = "drawn at random"

    def score(self, outputs: ChipOutputs) -> CellScores:
        """No preference."""
        return CellScores(None, outputs.askable > 0)
