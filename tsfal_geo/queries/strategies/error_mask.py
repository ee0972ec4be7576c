"""PLAR queries: ask only where the two votes disagree (ours)."""

from __future__ import annotations

from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.strategy import CellScores, Strategy, entropy, register


@register
class Plar(Strategy):
    """Cells of the error mask that PLAR could not mend: no agreement, or no support to vote with."""

    name = "plar"
    reason = "votes disagree"
    order = "ranking"

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Entropy; candidates are the mask's cells without a vote, all of the mask where PLAR is off."""
        askable = outputs.askable > 0
        if outputs.plar is not None:
            askable &= outputs.plar.disagree | ~outputs.mask
        return CellScores(entropy(outputs.probs), outputs.mask & askable, askable)


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
