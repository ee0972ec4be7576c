"""Queries from the error mask: all of it, or the cells where PLAR's two votes disagree.

Disagreeing cells form the query pool of the paper (Ma, Karakus, Rosin 2025); its Table 4 compares queries of
the full mask. Scores by entropy are ours, and so are regions that join cells around the candidates.
"""

from __future__ import annotations

from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.strategy import CellScores, Strategy, entropy, register


@register
class Plar(Strategy):
    """Cells of the error mask that PLAR left unresolved: its votes disagree, or classes have no support."""

    name = "plar"
    reason = "votes disagree"
    order = "ranking"

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Score cells by entropy; candidates are the mask's unresolved cells, or its full area without PLAR.

        Regions may join all askable cells but those that PLAR refined.

        Args:
            outputs: the networks' outputs on the chip.

        Returns:
            Scores in 0..1 on (h, w) cells.
        """
        askable = outputs.askable > 0
        if outputs.plar is not None:
            askable &= outputs.plar.disagree | ~outputs.mask
        return CellScores(entropy(outputs.probs), outputs.mask & askable, askable)


@register
class ErrorMask(Strategy):
    """All cells of the error mask; without a decoder the mask has the cells of low confidence."""

    name = "emd"
    reason = "likely wrong"
    order = "ranking"

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Score cells by entropy, in 0..1; candidates are the mask's cells, joinable all askable cells."""
        askable = outputs.askable > 0
        return CellScores(entropy(outputs.probs), outputs.mask & askable, askable)
