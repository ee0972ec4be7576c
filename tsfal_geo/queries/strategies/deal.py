"""DEAL's queries: chips that its difficulty branch finds hard (Xie et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.strategy import CellScores, Strategy, register

LEVELS = 8


class _Deal(Strategy):
    """What both acquisition functions share: the map of difficulty, and half of the pool."""

    reason = "difficult"
    pool_share = 0.5

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Difficulty of the cells."""
        return CellScores(_difficulty(outputs), outputs.askable > 0)


@register
class DealScore(_Deal):
    """DS: the highest mean difficulty."""

    name = "deal_ds"


@register
class DealEntropy(_Deal):
    """DE: chips whose cells spread most evenly over levels of difficulty."""

    name = "deal_de"
    order = "chips"

    def chip_vector(self, outputs: ChipOutputs) -> NDArray[np.float32]:
        """Entropy of the histogram of difficulty over what may be asked."""
        values = _difficulty(outputs)[outputs.askable > 0].cpu().numpy()
        return np.array([histogram_entropy(values)], np.float32)

    def rank_chips(
        self, chips: Sequence[NDArray[np.float32]], labelled: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.int64]:
        """Highest entropy first."""
        return np.argsort(-np.concatenate(chips), kind="stable")


def histogram_entropy(values: NDArray[np.floating], levels: int = LEVELS) -> float:
    """Entropy (nats) of the histogram of ``values``, equal bins from their least to their greatest."""
    counts = np.histogram(values, bins=levels)[0]
    shares = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(shares * np.log(shares)).sum())


def _difficulty(outputs: ChipOutputs) -> Tensor:
    """Of DEAL's branch, else of TSF's error mask decoder; before that is trained, 1 − confidence."""
    if outputs.difficulty is not None:
        return outputs.difficulty
    return 1 - outputs.probs.amax(0) if outputs.emd is None else outputs.emd
