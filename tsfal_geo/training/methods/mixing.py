"""CutMix within a batch: partners, masks, and the mixing of all maps of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsfal_geo.training.adaptive_augmentation import mix, random_box
from tsfal_geo.training.views import Views

Sampler = Callable[[tuple[int, int], np.random.Generator], NDArray[np.bool_]]
"""Draws the mask of one image from its height and width: (H, W) bool, True where the partner shows."""


@dataclass(frozen=True)
class Mixing:
    """The mixing of a step's images, applied to all of their maps.

    Attributes:
        inside: (B, H, W) bool, True where the partner shows.
        partner: (B,) int64, index of each image's partner among the maps.
    """

    inside: Tensor
    partner: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        """Mix maps.

        Args:
            values: (N, …, H, W) with N ≥ B; the first B belong to the base images.

        Returns:
            (B, …, H, W).
        """
        return mix(values[: len(self.partner)], values[self.partner], self.inside)

    def views(self, views: Views) -> Views:
        """Mix images, valid masks and manual labels of N ≥ B views; returns B views."""
        return replace(
            views,
            images=self(views.images),
            valid=self(views.valid),
            labels=self(views.labels),
            index=views.index[: len(self.partner)],
        )


def draw_mixing(
    count: int, size: tuple[int, int], sampler: Sampler, rng: np.random.Generator, device: torch.device
) -> Mixing:
    """Draw masks for images of which each is mixed with the next, and the last with the first.

    Args:
        count: number of base images B; with one image the partner is index 1 of the maps.
        size: height and width in pixels.
        sampler: draws the mask of one image.
        rng: the step's random numbers.
        device: of the images.

    Returns:
        The mixing of B images.
    """
    masks = torch.from_numpy(np.stack([sampler(size, rng) for _ in range(count)]))
    partner = torch.arange(1, count + 1) % max(count, 2)
    return Mixing(masks.to(device), partner.to(device))


def half_box(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw one box of half the image's area and random aspect, (H, W) bool (French et al. 2020).

    Args:
        size: height and width of the image in pixels.
        rng: the step's random numbers.
    """
    return _boxes(size, rng, (0.5, 0.5), 1)


def three_boxes(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw three boxes of together 25 to 50 % of the image's area, (H, W) bool; overlaps show the base.

    Source: the CutMix of CPS (Chen et al. 2021), which PS-MT adopted.

    Args:
        size: height and width of the image in pixels.
        rng: the step's random numbers.
    """
    return _boxes(size, rng, (0.25, 0.5), 3)


def sometimes_box(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw, with probability 0.5, a box of 2 to 40 % of the image's area, (H, W) bool.

    The ratio of height to width is between 0.3 and 1 / 0.3. A box that leaves the image is drawn again.
    Source: UniMatch (Yang et al. 2023).

    Args:
        size: height and width of the image in pixels.
        rng: the step's random numbers.
    """
    mask = np.zeros(size, dtype=bool)
    if rng.random() > 0.5:
        return mask
    area = rng.uniform(0.02, 0.4) * size[0] * size[1]
    while True:
        aspect = rng.uniform(0.3, 1 / 0.3)
        height, width = int(np.sqrt(area * aspect)), int(np.sqrt(area / aspect))
        y, x = int(rng.integers(size[0])), int(rng.integers(size[1]))
        if y + height <= size[0] and x + width <= size[1]:
            mask[y : y + height, x : x + width] = True
            return mask


def _boxes(
    size: tuple[int, int], rng: np.random.Generator, area: tuple[float, float], count: int
) -> NDArray[np.bool_]:
    mask = np.zeros(size, dtype=bool)
    for _ in range(count):
        box = random_box(size, rng, rng.uniform(*area), scale=count**-0.5)
        mask[box.y : box.y + box.height, box.x : box.x + box.width] ^= True
    return mask
