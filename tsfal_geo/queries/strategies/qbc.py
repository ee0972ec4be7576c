"""Query by committee: the committee is one network under Monte-Carlo dropout (as in DEAL's comparison)."""

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
    """Cells of the highest entropy of the committee's hard votes."""

    name = "qbc"
    reason = "committee disagrees"
    pool_share = 0.4

    def __init__(self, seed: int = 0, passes: int = 10) -> None:
        """Ask a committee of ``passes`` members."""
        super().__init__(seed)
        self.passes = passes

    def score(self, outputs: ChipOutputs) -> CellScores:
        """Vote entropy in 0..1."""
        if outputs.votes is None:
            raise ValueError("query by committee needs ChipOutputs.votes")
        votes = outputs.votes.float()
        return CellScores(entropy(votes / votes.sum(0)), outputs.askable > 0)


@torch.no_grad()
def committee_votes(segmenter: Segmenter, images: Tensor, passes: int, seed: int) -> Tensor:
    """Hard votes of ``passes`` forward passes with dropout 0.2, (N, C, h4, w4) uint8; batch norm stays fixed.

    Args:
        segmenter: its mode and its dropout rates are left as they were.
        images: normalised, (N, bands, H, W).
        passes: up to 255.
        seed: of the dropout; the global random state is left as it was.
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
