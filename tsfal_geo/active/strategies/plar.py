"""PLAR queries: ask only where the two votes disagree (ours)."""

from __future__ import annotations

from tsfal_geo.active.outputs import ChipOutputs
from tsfal_geo.active.strategies.base import CellScores, Strategy, register
from tsfal_geo.active.strategies.emd import urgency


@register
class Plar(Strategy):
    """Cells of the error mask that PLAR could not mend: no agreement, or no support to vote with."""

    name = "plar"
    reason = "votes disagree"
    order = "ranking"
    needs_plar = True

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Urgency of the cells without a vote; of the whole mask where PLAR is off."""
        pool = outputs.mask if outputs.plar is None else outputs.mask & outputs.plar.disagree
        return CellScores(urgency(outputs), pool & (outputs.askable > 0))
