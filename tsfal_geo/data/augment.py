"""Weak augmentation and colour jitter of batches on their device, repeatable from one seed for each item."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from kornia.enhance import adjust_gamma
from kornia.geometry.transform import warp_affine
from torch import Tensor

from tsfal_geo.classes import IGNORE
from tsfal_geo.config import AugmentConfig
from tsfal_geo.data.normalise import Normaliser

Randomness = torch.Generator | Tensor
"""A generator, or (B,) int64 seeds: with seeds, the result of an item does not depend on its batch."""

_LABEL_KEYS = ("mask", "manual")


class WeakAugment:
    """Random scale with a crop or padding back to the chip's size, flips and quarter turns, in one warp.

    The image is interpolated bilinearly, masks by the nearest pixel. Pixels from outside the chip are 0 in
    images, 255 in label masks and False in boolean masks.

    Args:
        config: range of the scaling, flips and turns.
    """

    def __init__(self, config: AugmentConfig) -> None:
        self.config = config

    def __call__(self, images: Tensor, *masks: Tensor, generator: Randomness) -> tuple[Tensor, ...]:
        """Warp a batch.

        Args:
            images: (B, C, S, S) float, normalised.
            masks: each (B, S, S), bool or uint8 class indices.
            generator: source of the random numbers.

        Returns:
            The warped images, then the warped masks, with unchanged shapes and dtypes.
        """
        matrices = self.matrices(item_seeds(generator, len(images)), images.shape[-1]).to(images.device)
        size = (images.shape[-2], images.shape[-1])
        warped = warp_affine(
            images, matrices, size, mode="bilinear", padding_mode="zeros", align_corners=False
        )
        if not masks:
            return (warped,)
        fills = [0 if mask.dtype == torch.bool else IGNORE for mask in masks]
        # The warp pads with 0: the fill value is subtracted before it and added after it, so that the padding
        # gets the fill value. Float32 holds the integers exactly.
        stack = torch.stack([mask.float() - fill for mask, fill in zip(masks, fills, strict=True)], dim=1)
        stack = warp_affine(stack, matrices, size, mode="nearest", padding_mode="zeros", align_corners=False)
        moved = (
            (layer + fill).to(mask.dtype)
            for layer, fill, mask in zip(stack.unbind(dim=1), fills, masks, strict=True)
        )
        return warped, *moved

    def matrices(self, seeds: Tensor, size: int) -> Tensor:
        """Draw the transforms of chip pixels (x, y) to result pixels.

        Args:
            seeds: (B,) int64, one for each item.
            size: pixels a side of the chip.

        Returns:
            (B, 2, 3) float32; pixel centres are integers.
        """
        return torch.stack([self._matrix(int(seed), size) for seed in seeds])

    def _matrix(self, seed: int, size: int) -> Tensor:
        draws = torch.rand(6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).tolist()
        low, high = self.config.scale
        scale = low + (high - low) * draws[0]
        turns = math.floor(4 * draws[1]) if self.config.rotate90 else 0
        mirror_x = -1.0 if self.config.flip and draws[2] < 0.5 else 1.0
        mirror_y = -1.0 if self.config.flip is True and draws[3] < 0.5 else 1.0
        cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[turns]
        turn = torch.tensor(
            [[mirror_x * cos, -mirror_x * sin], [mirror_y * sin, mirror_y * cos]], dtype=torch.float64
        )
        turn = scale * turn
        # The limit of the offset: an upscaled chip covers the result, and a downscaled one lies inside it.
        room = abs(scale - 1) * size / 2
        offset = torch.tensor([(2 * draws[4] - 1) * room, (2 * draws[5] - 1) * room], dtype=torch.float64)
        centre = torch.full((2,), (size - 1) / 2, dtype=torch.float64)
        shift = centre + offset - turn @ centre
        return torch.cat((turn, shift[:, None]), dim=1).float()


class ColourJitter:
    """Brightness, contrast, gamma and noise for any number of bands of normalised images.

    Bands change together (light) and, less, each by itself (sensor, haze). Channels past ``bands``, such as
    heights, and pixels that are not valid stay as they are.

    Args:
        strength: 0 changes nothing, 1 changes much.
        bands: number of channels that hold bands; they come first.
    """

    def __init__(self, strength: float, bands: int) -> None:
        self.strength = strength
        self.bands = bands

    def __call__(self, images: Tensor, valid: Tensor, *, generator: Randomness) -> Tensor:
        """Jitter a batch.

        Args:
            images: (B, C, H, W) float, normalised.
            valid: (B, H, W) bool.
            generator: source of the random numbers.

        Returns:
            (B, C, H, W) float.
        """
        if self.strength == 0:
            return images
        seeds = item_seeds(generator, len(images))
        colours = torch.stack(
            [
                self._jitter(image, int(seed))
                for image, seed in zip(images[:, : self.bands], seeds, strict=True)
            ]
        )
        colours = colours * valid.unsqueeze(1)
        return torch.cat((colours, images[:, self.bands :]), dim=1)

    def _jitter(self, image: Tensor, seed: int) -> Tensor:
        local = torch.Generator().manual_seed(seed)
        common = 2 * torch.rand(4, generator=local) - 1
        each = (2 * torch.rand(2, self.bands, 1, 1, generator=local) - 1).to(image.device)
        brightness = self.strength * (0.5 * common[0].item() + 0.2 * each[0])
        contrast = 1 + self.strength * (0.4 * common[1].item() + 0.1 * each[1])
        low, high = image.amin(dim=(1, 2), keepdim=True), image.amax(dim=(1, 2), keepdim=True)
        span = (high - low).clamp_min(1e-6)
        gamma = math.exp(self.strength * 0.5 * common[2].item())
        curved = adjust_gamma((image - low) / span, gamma) * span + low
        spread = self.strength * 0.1 * abs(common[3].item())
        noise = torch.randn(image.shape, generator=_on_device(image.device, seed), device=image.device)
        return curved * contrast + brightness + spread * noise


def item_seeds(generator: Randomness, count: int) -> Tensor:
    """Draw a seed for each item of a batch.

    Args:
        generator: a generator, or the seeds themselves.
        count: items of the batch.

    Returns:
        (B,) int64 on the CPU.
    """
    if isinstance(generator, Tensor):
        return generator.cpu()
    return torch.randint(2**62, (count,), generator=generator, device=generator.device).cpu()


def weak_views(batch: Mapping[str, Tensor], normalise: Normaliser, augment: WeakAugment) -> dict[str, Tensor]:
    """Make the weakly augmented network input of a training batch.

    Args:
        batch: a collated batch of the training stream, on its device, with ``seed`` (B,).
        normalise: normalisation of the training scenes.
        augment: the augmentation.

    Returns:
        The batch with ``image`` (B, C, S, S) float32, which includes ``height``, and with ``valid``, ``mask``
        and ``manual`` warped alike; the other entries are unchanged.
    """
    keys = ["valid", *(key for key in _LABEL_KEYS if key in batch)]
    image, *masks = augment(normalise(batch), *(batch[key] for key in keys), generator=batch["seed"])
    rest = {key: value for key, value in batch.items() if key != "height"}
    return {**rest, "image": image, **dict(zip(keys, masks, strict=True))}


def _on_device(device: torch.device, seed: int) -> torch.Generator:
    return torch.Generator(device=device).manual_seed(seed)
