"""The fitted head as a part of the network, so that maps, evaluation and ONNX need nothing of their own."""

from __future__ import annotations

import torch
from torch import nn

from tsfal_geo.instant.basis import Basis
from tsfal_geo.instant.classifier import CellClassifier
from tsfal_geo.models.pyramid import InstantHead
from tsfal_geo.models.segmenter import Segmenter


@torch.no_grad()
def put_into(segmenter: Segmenter, basis: Basis, classifier: CellClassifier) -> None:
    """Write a fitted head into a network of the architecture ``instant``.

    The classifier takes x = Vᵀ (f − μ) / σ, so that W x + b = W Vᵀ diag(1/σ) f + (b − W Vᵀ diag(1/σ) μ): one
    matrix on the features f, whose columns are the convolutions of the levels.

    Args:
        segmenter: changed in place.
        basis: of the components.
        classifier: the fitted head.
    """
    head = segmenter.head
    assert isinstance(head, InstantHead)
    matrix = classifier.hidden.double().numpy() @ (basis.vectors / basis.deviation[:, None]).T
    shift = classifier.hidden_bias.double().numpy() - matrix @ basis.mean
    first = 0
    for level in head.levels:
        assert isinstance(level, nn.Conv2d)
        width = level.in_channels
        part = matrix[:, first : first + width]
        level.weight.copy_(torch.from_numpy(part)[:, :, None, None])
        first += width
    head.bias.copy_(torch.from_numpy(shift))
    head.classifier.weight.copy_(classifier.classifier[:, :, None, None])
    assert head.classifier.bias is not None
    head.classifier.bias.copy_(classifier.classifier_bias)
