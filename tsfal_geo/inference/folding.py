"""Batch norms folded into the convolutions before them: a third less work for a network on a CPU.

A batch norm in eval mode is an affine map of each channel, y = γ · (z − μ) / √(σ² + ε) + β, and the
convolution before it is linear, z = W ∗ x + b. Together they are one convolution with weight
W · γ / √(σ² + ε) and bias (b − μ) · γ / √(σ² + ε) + β, which saves a pass over memory. This holds only where
the norm alone reads the convolution's output, and where each of the two is called once.
"""

from __future__ import annotations

import copy
from collections import Counter

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tsfal_geo.inference.outputs import OutputLayers
from tsfal_geo.inference.rows.graph import UnstreamableError, activation_of, norm_after, traced
from tsfal_geo.models.emd import ErrorMaskDecoder
from tsfal_geo.models.layers import can_be_bfloat16, to_bfloat16
from tsfal_geo.models.segmenter import Segmenter


def fold_segmenter(segmenter: Segmenter, dtype: torch.dtype | None) -> Segmenter:
    """Copy a network for inference, with batch norms folded into convolutions where it can be traced.

    Args:
        segmenter: stays as it is.
        dtype: what autocast uses on the CPU; None for float32.

    Returns:
        The copy, in eval mode.
    """
    segmenter = copy.deepcopy(segmenter).eval()
    fold_norms(OutputLayers(segmenter, None).eval(), dtype)
    return segmenter


def fold_decoder(decoder: ErrorMaskDecoder, dtype: torch.dtype | None) -> ErrorMaskDecoder:
    """Copy an error mask decoder for inference, with batch norms folded into convolutions.

    Args:
        decoder: stays as it is.
        dtype: what autocast uses on the CPU; None for float32.

    Returns:
        The copy, in eval mode.
    """
    decoder = copy.deepcopy(decoder)
    decoder.fold_batch_norms(dtype)
    return decoder


def fold_norms(network: nn.Module, dtype: torch.dtype | None) -> None:
    """Fold the batch norms of a network in eval mode, in place; a network that cannot be traced keeps them.

    Args:
        network: takes one image.
        dtype: bfloat16: convolutions that take a norm in compute in it from then on; None: in float32.
    """
    try:
        graph, modules = traced(network)
    except UnstreamableError:
        return
    calls = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    replacements: dict[nn.Module, nn.Module] = {}
    for node in graph.nodes:
        norm = norm_after(node, modules)
        if norm is None or calls[str(node.target)] > 1 or calls[str(next(iter(node.users)).target)] > 1:
            continue
        convolution = modules[str(node.target)]
        assert isinstance(convolution, nn.Conv2d)
        # Autocast would round the fused bias, which shifts a whole channel; only `BFloat16Conv2d` keeps it.
        if dtype is not None and not can_be_bfloat16(convolution):
            continue
        fused = fuse_conv_bn_eval(convolution, norm)
        convolution.weight, convolution.bias = fused.weight, fused.bias
        if dtype is not None:
            to_bfloat16(convolution)
        replacements[norm] = activation_of(norm)
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if child in replacements:
                setattr(parent, name, replacements[child])
