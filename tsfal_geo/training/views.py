"""The network input of a batch, weakly augmented and normalised, and pseudo-labels of its images."""

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
"""Tensors of a chip, or of a collated batch of chips, by name."""


class ChipSource(Protocol):
    """A source of single chips in the middle of a step; ``TsfDataModule`` is one."""

    @property
    def sparse(self) -> bool:
        """True if some labelled chips are labelled in part and read in proportion to their labelled share."""

    def partner(self, index: int) -> Sample:
        """Read an unlabelled chip by its number, not collated."""

    def labelled_sample(self, rng: np.random.Generator) -> Sample:
        """Read a random labelled chip, not collated."""


@dataclass(frozen=True)
class Views:
    """A batch of network input on its device.

    Attributes:
        images: (B, C, H, W) float32, normalised; 0 where not valid.
        valid: (B, H, W) bool.
        labels: (B, H, W) int64 class indices; 255 where there is no label.
        index: (B,) int64 numbers of the chips among the labelled or the unlabelled ones.
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
        """Concatenate two batches."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return Views(*(torch.cat(pair) for pair in pairs))


@dataclass(frozen=True)
class PseudoLabels:
    """A network's predictions on a batch, by pixel at full resolution and by cell at stride 4.

    Attributes:
        labels: (B, H, W) int64 argmax; 255 where the image is not valid.
        confidence: (B, H, W) float32 largest probability; 0 where not valid.
        cells: (B, h4, w4) uint8 argmax at stride 4; 255 where the centre of the cell is not valid.
    """

    labels: Tensor
    confidence: Tensor
    cells: Tensor


def make_views(batch: Sample, normalise: Normaliser, augment: WeakAugment) -> Views:
    """Augment a collated batch weakly and normalise it.

    Args:
        batch: with ``mask`` (labels of labelled chips) or ``manual`` (manual labels of unlabelled ones).
        normalise: turns pixels into network input.
        augment: the weak augmentation.
    """
    moved = weak_views(batch, normalise, augment)
    labels = moved.get("mask", moved.get("manual"))
    if labels is None:
        labels = torch.full_like(moved["valid"], IGNORE, dtype=torch.uint8)
    return Views(moved["image"], moved["valid"], labels.long(), moved["index"])


def collate(samples: Sequence[Sample], rng: np.random.Generator, device: torch.device) -> dict[str, Any]:
    """Collate samples and give each a new ``seed``, from which its augmentation is drawn.

    Args:
        samples: chips of one size.
        rng: draws the seeds.
        device: of everything but the seeds, which are read on the CPU.

    Returns:
        The batch by name, ``seed`` (B,) int64 among it.
    """
    seeds = torch.from_numpy(rng.integers(2**62, size=len(samples)))
    batch = default_collate([dict(sample) for sample in samples])
    return {**{key: value.to(device) for key, value in batch.items()}, "seed": seeds}


def pixel_labels(logits: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Label pixels from upsampled logits z, with their probability, but without a softmax.

    The probability of the largest class is exp(z_max − log Σ_c exp z_c), which needs one value a pixel where
    a softmax would need C. Logits are upsampled instead of the cells' labels, because borders between classes
    run through cells and the losses at full resolution need them there.

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
    """Label stride-4 logits by pixel and by cell.

    Args:
        logits: (B, C, h4, w4), any precision.
        valid: (B, H, W) bool.

    Returns:
        Labels, confidence and the cells' labels.
    """
    stride = Segmenter.LOGIT_STRIDE
    centres = torch.zeros_like(logits[:, 0], dtype=torch.bool)
    at_centres = valid[:, stride // 2 :: stride, stride // 2 :: stride]
    # The centre of a last cell may lie outside the image; such a cell is not valid.
    centres[:, : at_centres.shape[-2], : at_centres.shape[-1]] = at_centres
    cells = logits.argmax(dim=1).to(torch.uint8)
    return PseudoLabels(*pixel_labels(logits, valid), cells.masked_fill(~centres, IGNORE))
