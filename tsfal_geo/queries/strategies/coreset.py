"""Queries of Core-set: chips that cover the feature space (Sener and Savarese 2018, greedy k-centre)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.farthest import greedy_k_centre
from tsfal_geo.queries.strategy import CellScores, Strategy, register


@register
class CoreSet(Strategy):
    """Chips farthest from all labelled chips in the feature space; the budget may end inside a chip."""

    name = "coreset"
    reason = "unlike what is labelled"
    order = "chips"
    needs_pooled = True
    pool_share = 0.4

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Return no scores, because all cells of a chip rank alike; all askable cells are candidates."""
        return CellScores(None, outputs.askable > 0)

    def chip_vector(self, outputs: ChipOutputs) -> NDArray[np.float32]:
        """Describe the chip by the mean of the decoder's input.

        Heads without that input give the means of F1 and F2 instead, each scaled to length 1.

        Args:
            outputs: the networks' outputs on the chip.

        Returns:
            (D,) float32, or (D₁ + D₂,) without the decoder's input.
        """
        if outputs.pooled is not None:
            return outputs.pooled.cpu().numpy()
        means = [level.float().mean((1, 2)) for level in (outputs.f1, outputs.f2)]
        unit = [torch.nn.functional.normalize(mean, dim=0) for mean in means]
        return torch.cat(unit).cpu().numpy()

    def rank_chips(
        self, chips: Sequence[NDArray[np.float32]], labelled: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.int64]:
        """Order chips by greedy k-centre, with the labelled chips as first centres, (n,) int64."""
        return greedy_k_centre(np.array(chips), np.array(labelled) if len(labelled) else None)


@contextmanager
def decoder_input(segmenter: Segmenter) -> Iterator[list[Tensor]]:
    """Collect the input of the decoder in each forward pass inside the context.

    Args:
        segmenter: the network; a hook on its decoder is removed at the end.

    Yields:
        A list that receives (N, 304, h, w) at each pass, with 48 low-level channels; it stays empty for heads
        without such a decoder.
    """
    collected: list[Tensor] = []
    decoder = getattr(segmenter.head, "fuse", None)
    if decoder is None:
        yield collected
        return
    hook = decoder.register_forward_pre_hook(lambda _, given: collected.append(given[0]))
    try:
        yield collected
    finally:
        hook.remove()
