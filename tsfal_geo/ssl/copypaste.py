"""Adaptive copy-paste (method, section 2.3, after AEL): rare classes of one labelled image onto another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SCALE = (0.1, 2.0)


def tail_classes(counts: Sequence[int]) -> tuple[int, ...]:
    """Classes with fewer than 1/C of the labelled pixels, those that occur at all.

    Args:
        counts: (C,) labelled pixels of each class.
    """
    total = sum(counts)
    return tuple(c for c, count in enumerate(counts) if 0 < count * len(counts) < total)


def draw_classes(
    tail: Sequence[int], probabilities: np.ndarray, number: int, rng: np.random.Generator
) -> list[int]:
    """``number`` draws of tail classes with replacement, each class once, ascending."""
    return sorted({tail[i] for i in rng.choice(len(tail), size=number, p=probabilities)})


def paste(
    image: Tensor, label: Tensor, donor: Tensor, donor_label: Tensor, classes: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Overwrite image and label by the donor's pixels of the given classes.

    Args:
        image: (C, H, W) float.
        label: (H, W) class indices.
        donor: as ``image``.
        donor_label: as ``label``.
        classes: what is pasted.
    """
    inside = torch.isin(donor_label, torch.tensor(classes, dtype=donor_label.dtype, device=label.device))
    return torch.where(inside, donor, image), torch.where(inside, donor_label, label)


def rescale(
    image: Tensor, label: Tensor, scale: float, fill: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Scale a labelled image and put it, cropped or padded at random, on a canvas of its own size.

    Args:
        image: (C, H, W) float, interpolated bilinearly (antialiased, as it may shrink tenfold).
        label: (H, W) class indices, nearest.
        scale: factor.
        fill: label of what lies outside.
        rng: the step's random numbers.
    """
    height, width = label.shape
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    scaled = F.interpolate(image[None], size, mode="bilinear", align_corners=False, antialias=True)[0]
    scaled_label = F.interpolate(label[None, None].float(), size, mode="nearest-exact")[0, 0].to(label.dtype)
    top, left = (
        int(rng.integers(min(room, 0), max(room, 0) + 1)) for room in (height - size[0], width - size[1])
    )
    # F.pad crops where a pad is negative, so that one call places the image whether it grew or shrank.
    pads = (left, width - size[1] - left, top, height - size[0] - top)
    return F.pad(scaled, pads), F.pad(scaled_label, pads, value=fill)
