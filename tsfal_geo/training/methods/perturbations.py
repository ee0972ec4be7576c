"""CCT's perturbations of encoder features (Ouali et al. 2020), each as a function of features (N, D, h, w).

Random numbers that shape masks come from NumPy's generator, those of whole feature maps from PyTorch's.
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


# The authors cut objects whose outline has more than 50 vertices; cells are the simpler measure here.
_OBJECT_CELLS = 50


def adversarial(features: Tensor, decoder: Callable[[Tensor], Tensor]) -> Tensor:
    """Virtual adversarial training (Miyato et al. 2018): add what changes the decoder's prediction most.

    One power iteration from a random direction d: r = ε · g / ‖g‖ with g the gradient, at ξ·d, of
    KL(p(x) ‖ p(x + ξ·d)). For a small ξ that is ξ · Jᵀ (diag p - p pᵀ) J d, with J the decoder's Jacobian;
    this limit is taken, since the authors' ξ of 1e-6 vanishes beside features in float32.

    Args:
        features: (N, D, h, w) float32; the direction is found without gradients.
        decoder: features to logits (N, C, h', w').
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
    """Drop half of the channels of each image, and double the others."""
    return F.dropout2d(features, DROP)


def foreground(classes: Tensor) -> Tensor:
    """What is not the class that covers most of an image: the authors' object classes without a background.

    Args:
        classes: (N, h, w) int64 predicted class indices.

    Returns:
        (N, h, w) bool.
    """
    return classes != classes.flatten(1).mode(dim=1).values[:, None, None]


def hide_context(features: Tensor, objects: Tensor) -> Tensor:
    """Keep the features of objects (N, h', w') bool only."""
    return features * _on_grid(objects, features)


def hide_objects(features: Tensor, objects: Tensor) -> Tensor:
    """Keep the features of what is no object only."""
    return features * _on_grid(~objects, features)


def cut_out(features: Tensor, objects: Tensor, rng: np.random.Generator) -> Tensor:
    """Hide a random part of each object's bounding box, 40 % of either side.

    Args:
        features: (N, D, h, w).
        objects: (N, h', w') bool; connected ones of at least 50 cells count.
        rng: places the parts.
    """
    kept = np.ones(objects.shape, dtype=bool)
    for layer, image in zip(kept, objects.cpu().numpy(), strict=True):
        labelled, _ = ndimage.label(image)
        areas = np.bincount(labelled.ravel())[1:]
        for area, (rows, columns) in zip(areas, ndimage.find_objects(labelled), strict=True):
            if area >= _OBJECT_CELLS:
                layer[_part(rows, rng), _part(columns, rng)] = False
    return features * _on_grid(torch.from_numpy(kept).to(features.device), features)


def drop_attended(features: Tensor, rng: np.random.Generator) -> Tensor:
    """Hide the cells whose mean over channels reaches 0.7 to 0.9 (drawn) of the image's largest."""
    attention = features.mean(dim=1, keepdim=True)
    threshold = attention.amax(dim=(2, 3), keepdim=True) * rng.uniform(*ATTENTION)
    return features * (attention < threshold)


def noise(features: Tensor) -> Tensor:
    """Multiply by 1 + u, u uniform in ±0.3, one map of them for all images."""
    u = (2 * torch.rand_like(features[:1]) - 1) * NOISE
    return features * (1 + u)


def _unit(x: Tensor) -> Tensor:
    """Each image's values as a vector of length 1; 0 stays 0."""
    length = x.flatten(1).norm(dim=1).clamp_min(torch.finfo(x.dtype).tiny)
    return x / length[:, None, None, None]


def _on_grid(mask: Tensor, features: Tensor) -> Tensor:
    """(N, h', w') bool as (N, 1, h, w) on the features' grid, nearest."""
    return F.interpolate(mask[:, None].to(features.dtype), features.shape[-2:], mode="nearest")


def _part(whole: slice, rng: np.random.Generator) -> slice:
    length = whole.stop - whole.start
    start = whole.start + int(rng.integers(int(length * (1 - ERASE)) + 1))
    return slice(start, start + int(length * ERASE))
