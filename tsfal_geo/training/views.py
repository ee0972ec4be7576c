"""What the networks see of a batch, weakly augmented and normalised, and what they say about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from tsfal_geo.classes import IGNORE
from tsfal_geo.data.augment import WeakAugment, weak_views
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.models.segmenter import Segmenter, upsample

Sample = Mapping[str, Tensor]


class ChipSource(Protocol):
    """Where single chips come from in the middle of a step; ``TsfDataModule`` is one."""

    @property
    def sparse(self) -> bool:
        """Whether some labelled chips are labelled in part, and read by their shares."""

    def partner(self, index: int) -> Sample:
        """An unlabelled chip, not collated."""

    def labelled_sample(self, rng: np.random.Generator) -> Sample:
        """A labelled chip drawn at random, not collated."""


@dataclass(frozen=True)
class Views:
    """A batch on its device.

    Attributes:
        images: (B, C, H, W) float32, normalised; 0 where not valid.
        valid: (B, H, W) bool.
        labels: (B, H, W) int64 class indices; 255 where nobody said anything.
        index: (B,) int64, the chips' numbers in their part of the training set.
    """

    images: Tensor
    valid: Tensor
    labels: Tensor
    index: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.images.shape[-2], self.images.shape[-1]

    def __add__(self, other: Views) -> Views:
        """Both batches as one."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return Views(*(torch.cat(pair) for pair in pairs))


@dataclass(frozen=True)
class PseudoLabels:
    """What a network says about a batch, each pixel once at full resolution and each cell at stride 4.

    Attributes:
        labels: (B, H, W) int64 argmax; 255 where the image is not valid.
        confidence: (B, H, W) float32 largest probability; 0 where not valid.
        cells: (B, h4, w4) uint8 argmax at stride 4; 255 where the cell's centre is not valid.
    """

    labels: Tensor
    confidence: Tensor
    cells: Tensor


def make_views(batch: Sample, normalise: Normaliser, augment: WeakAugment) -> Views:
    """Normalise and weakly augment a collated batch; its labels are ``mask`` (labelled) or ``manual``."""
    moved = weak_views(batch, normalise, augment)
    labels = moved.get("mask", moved.get("manual"))
    if labels is None:
        labels = torch.full_like(moved["valid"], IGNORE, dtype=torch.uint8)
    return Views(moved["image"], moved["valid"], labels.long(), moved["index"])


def collate(samples: Sequence[Sample], rng: np.random.Generator, device: torch.device) -> dict[str, Any]:
    """Samples as a batch on ``device``, with a fresh ``seed`` each (on the CPU, where it is read)."""
    seeds = torch.from_numpy(rng.integers(2**62, size=len(samples)))
    batch = default_collate([dict(sample) for sample in samples])
    return {**{key: value.to(device) for key, value in batch.items()}, "seed": seeds}


def pixel_labels(logits: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Labels and their probability at full resolution, from one enlargement and no softmax.

    Pixels are labelled from enlarged logits, not by enlarging the cells' labels: the borders between classes
    run through cells, and the full-resolution losses want them there.

    Args:
        logits: (B, C, h4, w4), any precision.
        valid: (B, H, W) bool.

    Returns:
        (B, H, W) int64 argmax, 255 where not valid; (B, H, W) float32 in [0, 1], 0 where not valid.
    """
    fine = upsample(logits.float(), Segmenter.LOGIT_STRIDE, (valid.shape[-2], valid.shape[-1]))
    top, labels = fine.max(dim=1)
    confidence = (top - fine.logsumexp(dim=1)).exp()
    return labels.masked_fill(~valid, IGNORE), confidence.masked_fill(~valid, 0.0)


def pseudo_labels(logits: Tensor, valid: Tensor) -> PseudoLabels:
    """Labels and confidence of stride-4 logits, per pixel and per cell.

    Args:
        logits: (B, C, h4, w4), any precision.
        valid: (B, H, W) bool.
    """
    stride = Segmenter.LOGIT_STRIDE
    centres = torch.zeros_like(logits[:, 0], dtype=torch.bool)
    seen = valid[:, stride // 2 :: stride, stride // 2 :: stride]
    centres[:, : seen.shape[-2], : seen.shape[-1]] = seen
    cells = logits.argmax(dim=1).to(torch.uint8)
    return PseudoLabels(*pixel_labels(logits, valid), cells.masked_fill(~centres, IGNORE))
