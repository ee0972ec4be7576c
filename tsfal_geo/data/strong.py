"""Strong augmentation of batches: colour, grey and blur, repeatable from one seed for each item."""

from __future__ import annotations

import math

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from tsfal_geo.data.augment import ColourJitter, Randomness, item_seeds

JITTER, GREY, BLUR = 0.8, 0.2, 0.5
"""Probabilities of UniMatch's three perturbations."""

_SIGMA = (0.1, 2.0)


class StrongAugment:
    """UniMatch's strong view (Yang et al., CVPR 2023), for any number of bands.

    UniMatch's jitter of brightness, contrast, saturation and hue needs RGB. Here `ColourJitter` replaces it,
    and grey is the mean of the bands. Geometry, channels past ``bands``, such as heights, and pixels that are
    not valid stay as they are.

    Args:
        bands: number of channels that hold bands; they come first.
        strength: of the colour jitter.
    """

    def __init__(self, bands: int, strength: float = 1.0) -> None:
        self.bands = bands
        self._jitter = ColourJitter(strength, bands)

    def __call__(self, images: Tensor, valid: Tensor, *, generator: Randomness) -> Tensor:
        """Perturb a batch.

        Args:
            images: (B, C, H, W) float, normalised.
            valid: (B, H, W) bool.
            generator: source of the random numbers.

        Returns:
            (B, C, H, W) float.
        """
        seeds = item_seeds(generator, len(images))
        views = [
            self._one(image[None], mask[None], seed)
            for image, mask, seed in zip(images, valid, seeds, strict=True)
        ]
        return torch.cat(views)

    def _one(self, image: Tensor, valid: Tensor, seed: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(int(seed))
        draws = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
        if draws[0] < JITTER:
            image = self._jitter(image, valid, generator=seed[None])
        colours = image[:, : self.bands]
        if draws[1] < GREY:
            colours = colours.mean(dim=1, keepdim=True).expand_as(colours)
        if draws[2] < BLUR:
            sigma = _SIGMA[0] + (_SIGMA[1] - _SIGMA[0]) * draws[3]
            side = 2 * math.ceil(3 * sigma) + 1
            with torch.autocast(colours.device.type, enabled=False):
                colours = gaussian_blur2d(colours, (side, side), (sigma, sigma))
        return torch.cat((colours * valid[:, None], image[:, self.bands :]), dim=1)
