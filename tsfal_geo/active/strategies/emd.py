"""Error-mask queries: ask wherever the teacher is likely wrong (Table 4's AL without PLAR)."""

from __future__ import annotations

import torch
from torch import Tensor

from tsfal_geo.active.outputs import ChipOutputs
from tsfal_geo.active.strategies.base import CellScores, Strategy, register


@register
class ErrorMask(Strategy):
    """All cells of the error mask; without a decoder these are the cells of low confidence."""

    name = "emd"
    reason = "likely wrong"
    order = "ranking"

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Urgency of the mask's cells."""
        return CellScores(urgency(outputs), outputs.mask & (outputs.askable > 0))


def urgency(outputs: ChipOutputs) -> Tensor:
    """EMD · (1 − conf) · (1 − conf_c of the predicted class), (h, w): likely wrong, of a weak class."""
    conf, predicted = outputs.probs.max(0)
    weakness = 1 - outputs.class_confidence.to(conf.device)[predicted]
    error = torch.ones_like(conf) if outputs.emd is None else outputs.emd
    return error * (1 - conf) * weakness
