"""Batch norms folded into the convolutions before them: the same network for inference, in fewer passes."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def folded[M: nn.Module](network: M) -> M:
    """A copy in eval mode, without the batch norms that follow a convolution in an ``nn.Sequential``.

    Others (such as timm's, which are called by name) stay as they are. A module with a method
    ``fold_batch_norms`` of its own folds what it alone knows of. Outputs differ by rounding.
    """
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for (_, conv), (name, norm) in pairwise(list(module.named_children())):
                if type(conv) is nn.Conv2d and type(norm) is nn.BatchNorm2d:
                    fold(conv, norm)
                    setattr(module, name, nn.Identity())
    for module in list(network.modules()):
        if (own := getattr(module, "fold_batch_norms", None)) is not None:
            own()
    return network


@torch.no_grad()
def fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Take a batch norm's running statistics and weights into the convolution before it, in place."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
