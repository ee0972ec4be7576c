"""Batch norm statistics recomputed from given images."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def recalibrate_batch_norm(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics of all batch norms by their plain average over ``batches``.

    PyTorch's running statistics are m ← (1 − a) · m + a · x with a constant momentum a, so that they depend
    on the order of the batches and on their start. With ``momentum=None`` PyTorch uses a = 1/k at batch k,
    which gives the plain average. All batch norms, frozen ones too, are in train mode meanwhile, everything
    else is in eval mode; modes and momenta are restored. Useful for ``segmenter.encoder`` where published
    weights come with statistics of other images.

    Args:
        model: called with each batch; its statistics change in place.
        batches: normalised images (N, bands, H, W) on the model's device.

    Raises:
        ValueError: no batch was given.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    modes = {module: module.training for module in model.modules()}
    momenta = [norm.momentum for norm in norms]
    count = 0
    try:
        model.eval()
        for batch in batches:
            if not count:
                _reset(norms)
            model(batch)
            count += 1
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.train(modes[model])
        for module, mode in modes.items():
            module.training = mode
    if not count:
        raise ValueError("batch norm statistics need at least one batch")


def _reset(norms: list[_BatchNorm]) -> None:
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.training = True
