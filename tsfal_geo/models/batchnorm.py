"""Batch norm statistics of the images at hand instead of those that came with the weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def recalibrate_batch_norm(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace every batch norm's running statistics by the plain average over ``batches``.

    Only the batch norms are in train mode meanwhile (also frozen ones), so nothing else changes; modes and
    momenta are restored. Use on ``segmenter.encoder`` where weights came with doubtful statistics.

    Args:
        model: called with each batch.
        batches: normalised images (N, bands, H, W) on the model's device.

    Raises:
        ValueError: no batch was given.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    modes = {module: module.training for module in model.modules()}
    momenta = [norm.momentum for norm in norms]
    seen = 0
    try:
        model.eval()
        for batch in batches:
            if not seen:
                _start_over(norms)
            model(batch)
            seen += 1
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.train(modes[model])
        for module, mode in modes.items():
            module.training = mode
    if not seen:
        raise ValueError("batch norm statistics need at least one batch")


def _start_over(norms: list[_BatchNorm]) -> None:
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch's cumulative average
        norm.training = True
