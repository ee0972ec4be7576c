"""Entropy sampling: ask where the classes' probabilities are most even."""

from __future__ import annotations

from tsfal_geo.active.outputs import ChipOutputs
from tsfal_geo.active.strategies.base import CellScores, Strategy, entropy, register


@register
class Entropy(Strategy):
    """Cells of the highest Shannon entropy of the teacher's probabilities."""

    name = "entropy"
    reason = "uncertain"
    pool_share = 0.5

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Entropy in 0..1."""
        return CellScores(entropy(outputs.probs), outputs.askable > 0)
