"""Error-mask queries: ask wherever the teacher is likely wrong (Table 4's AL without PLAR)."""

from __future__ import annotations

from tsfal_geo.active.outputs import ChipOutputs
from tsfal_geo.active.strategies.base import CellScores, Strategy, entropy, register


@register
class ErrorMask(Strategy):
    """All cells of the error mask; without a decoder these are the cells of low confidence."""

    name = "emd"
    reason = "likely wrong"
    order = "ranking"

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Entropy; candidates are the mask's cells."""
        askable = outputs.askable > 0
        return CellScores(entropy(outputs.probs), outputs.mask & askable, askable)
