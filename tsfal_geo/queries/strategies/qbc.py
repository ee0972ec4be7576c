"""Query by committee, with one network under Monte-Carlo dropout, as DEAL compares it (Xie et al. 2020)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.queries.strategy import CellScores, Strategy, entropy, register

DROPOUT = 0.2


@register
class Committee(Strategy):
    """Cells where the hard votes of the committee have the highest entropy."""

    name = "qbc"
    reason = "committee disagrees"
    pool_share = 0.4

    def __init__(self, seed: int = 0, passes: int = 10) -> None:
        """Build the strategy.

        Args:
            seed: of its random numbers.
            passes: members of the committee, each a forward pass with dropout.
        """
        super().__init__(seed)
        self.passes = passes

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Score cells by the entropy of the votes, in 0..1; all askable cells are candidates.

        Args:
            outputs: the networks' outputs on the chip, with ``votes``.

        Returns:
            Scores on (h, w) cells.

        Raises:
            ValueError: the outputs have no votes.
        """
        if outputs.votes is None:
            raise ValueError("query by committee needs ChipOutputs.votes")
        votes = outputs.votes.float()
        return CellScores(entropy(votes / votes.sum(0)), outputs.askable > 0)


@torch.no_grad()
def committee_votes(segmenter: Segmenter, images: Tensor, passes: int, seed: int) -> Tensor:
    """Count the hard votes of forward passes with dropout 0.2; batch norm uses its running statistics.

    The mode of the network, its dropout rates and the global random state are restored afterwards.

    Args:
        segmenter: C classes.
        images: (N, bands, H, W) float, normalised.
        passes: number of votes, at most 255.
        seed: of the dropout.

    Returns:
        (N, C, h, w) uint8, votes of each class on the cells; they add up to ``passes``.
    """
    devices = [images.device] if images.is_cuda else []
    with torch.random.fork_rng(devices=devices), _dropout(segmenter, DROPOUT):
        torch.manual_seed(seed)
        ballots = [segmenter(images).logits.argmax(1) for _ in range(passes)]
    votes = [F.one_hot(ballot, segmenter.classes).to(torch.uint8) for ballot in ballots]
    return torch.stack(votes).sum(0, dtype=torch.uint8).movedim(-1, 1)


@contextmanager
def _dropout(module: nn.Module, rate: float) -> Iterator[None]:
    training = module.training
    layers = [layer for layer in module.modules() if isinstance(layer, _DropoutNd)]
    rates = [layer.p for layer in layers]
    module.eval()
    for layer in layers:
        layer.train()
        layer.p = rate
    try:
        yield
    finally:
        for layer, before in zip(layers, rates, strict=True):
            layer.p = before
        module.train(training)
