"""CCT's perturbations of encoder features (Ouali et al. 2020), as functions of features (N, D, h, w).

Masks are drawn from NumPy's generator and complete feature maps from PyTorch's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor
from torch.func import jvp, vjp

VAT_LENGTH = 2.0
DROP = 0.5
ERASE = 0.4
ATTENTION = (0.7, 0.9)
NOISE = 0.3
# The authors cut objects whose outline has more than 50 vertices; we count cells, the simpler measure.
_OBJECT_CELLS = 50


def adversarial(features: Tensor, decoder: Callable[[Tensor], Tensor]) -> Tensor:
    """Add the noise of length ε = 2 that changes the decoder's prediction most (Miyato et al. 2018).

    Virtual adversarial training does one power iteration from a random direction d: r = ε · g / ‖g‖, with g
    the gradient, at ξ·d, of KL(p(x) ‖ p(x + ξ·d)). The divergence is 0 at ξ = 0 and so is its gradient; its
    Hessian there is the Fisher metric Jᵀ (diag p − p pᵀ) J, with J the decoder's Jacobian. For small ξ hence
    g ≈ ξ · Jᵀ (diag p − p pᵀ) J d, of which only the direction counts. We compute this limit by one
    Jacobian-vector and one vector-Jacobian product, because the authors' ξ of 1e-6 is below the rounding of
    float32 features.

    Args:
        features: (N, D, h, w) float32; no gradient flows through the direction.
        decoder: maps features to logits (N, C, h', w').

    Returns:
        As ``features``.
    """
    x = features.detach()
    direction = _unit(torch.rand_like(x) - 0.5)
    with torch.no_grad():
        logits, change = jvp(decoder, (x,), (direction,))[:2]
        p = logits.softmax(dim=1)
        metric = p * (change - (p * change).sum(dim=1, keepdim=True))
        (gradient,) = vjp(decoder, x)[1](metric)
    return features + VAT_LENGTH * _unit(gradient)


def dropout(features: Tensor) -> Tensor:
    """Drop half of the channels of each image and double the others.

    Args:
        features: (N, D, h, w).

    Returns:
        As ``features``.
    """
    return F.dropout2d(features, DROP)


def foreground(classes: Tensor) -> Tensor:
    """Return the cells that are not of their image's most frequent class.

    The authors' objects are the classes other than the background, which land cover does not have.

    Args:
        classes: (N, h, w) int64 predicted class indices.

    Returns:
        (N, h, w) bool.
    """
    return classes != classes.flatten(1).mode(dim=1).values[:, None, None]


def hide_context(features: Tensor, objects: Tensor) -> Tensor:
    """Set features to 0 outside objects.

    Args:
        features: (N, D, h, w).
        objects: (N, h', w') bool.

    Returns:
        As ``features``.
    """
    return features * _on_grid(objects, features)


def hide_objects(features: Tensor, objects: Tensor) -> Tensor:
    """Set features to 0 on objects.

    Args:
        features: (N, D, h, w).
        objects: (N, h', w') bool.

    Returns:
        As ``features``.
    """
    return features * _on_grid(~objects, features)


def cut_out(features: Tensor, objects: Tensor, rng: np.random.Generator) -> Tensor:
    """Set a random part of each object's bounding box to 0; it has 40 % of the box's height and width.

    Args:
        features: (N, D, h, w).
        objects: (N, h', w') bool; connected components of at least 50 cells are objects.
        rng: places the parts.

    Returns:
        As ``features``.
    """
    visible = np.ones(objects.shape, dtype=bool)
    for layer, image in zip(visible, objects.cpu().numpy(), strict=True):
        labelled, _ = ndimage.label(image)
        areas = np.bincount(labelled.ravel())[1:]
        for area, (rows, columns) in zip(areas, ndimage.find_objects(labelled), strict=True):
            if area >= _OBJECT_CELLS:
                layer[_part(rows, rng), _part(columns, rng)] = False
    return features * _on_grid(torch.from_numpy(visible).to(features.device), features)


def drop_attended(features: Tensor, rng: np.random.Generator) -> Tensor:
    """Set the cells of highest attention to 0; attention is the mean over channels.

    The threshold is a random share, 0.7 to 0.9, of the image's largest attention.

    Args:
        features: (N, D, h, w).
        rng: draws the share.

    Returns:
        As ``features``.
    """
    attention = features.mean(dim=1, keepdim=True)
    threshold = attention.amax(dim=(2, 3), keepdim=True) * rng.uniform(*ATTENTION)
    return features * (attention < threshold)


def noise(features: Tensor) -> Tensor:
    """Multiply by 1 + u, with u (1, D, h, w) uniform in ±0.3 and the same for all images.

    Args:
        features: (N, D, h, w).

    Returns:
        As ``features``.
    """
    u = (2 * torch.rand_like(features[:1]) - 1) * NOISE
    return features * (1 + u)


def _unit(x: Tensor) -> Tensor:
    """Scale each image's values to a vector of length 1; 0 stays 0."""
    length: Tensor = x.flatten(1).norm(dim=1).clamp_min(torch.finfo(x.dtype).tiny)
    return x / length[:, None, None, None]


def _on_grid(mask: Tensor, features: Tensor) -> Tensor:
    """Resample (N, h', w') bool to (N, 1, h, w) on the features' grid, nearest neighbour."""
    size = features.shape[-2:]
    resampled: Tensor = F.interpolate(mask[:, None].to(features.dtype), size, mode="nearest")
    return resampled


def _part(extent: slice, rng: np.random.Generator) -> slice:
    length = extent.stop - extent.start
    start = extent.start + int(rng.integers(int(length * (1 - ERASE)) + 1))
    return slice(start, start + int(length * ERASE))
