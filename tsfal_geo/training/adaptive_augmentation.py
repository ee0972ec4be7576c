"""Adaptive CutMix (method, section 2.3, after AEL): boxes around predicted objects of badly known classes.

Objects are sought on the stride-4 grid of the teacher's predictions, 16 times fewer pixels than the image: a
box's sides differ by less than one cell (4 pixels) from those found at full resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

_EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Box:
    """A box of pixels."""

    y: int
    x: int
    height: int
    width: int


def object_box(
    classes: NDArray[np.uint8],
    class_index: int,
    min_area: float,
    cell: int,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Box | None:
    """The bounding box of a random connected component of a class.

    Args:
        classes: (h, w) predicted class indices, one a cell.
        class_index: the class whose components are sought.
        min_area: share of the map that a component must exceed.
        cell: pixels a side of a cell.
        size: height and width of the image in pixels, at most those of the cells.
        rng: draws the order in which components are tried.

    Returns:
        The box, within the image; None if no component is large enough.
    """
    labelled, count = ndimage.label(classes == class_index, structure=_EIGHT_CONNECTED)
    areas = np.bincount(labelled.ravel(), minlength=count + 1)[1:]
    large = np.flatnonzero(areas > min_area * classes.size)
    if not len(large):
        return None
    # Trying components in random order until one is large enough draws one of the large ones uniformly.
    rows, columns = ndimage.find_objects(labelled)[rng.choice(large)]
    y, x = cell * rows.start, cell * columns.start
    return Box(y, x, min(cell * rows.stop, size[0]) - y, min(cell * columns.stop, size[1]) - x)


def random_box(size: tuple[int, int], rng: np.random.Generator, area: float = 0.5, scale: float = 1.0) -> Box:
    """A box anywhere in the image; its height is the share area^u of the image's, u uniform in [0, 1).

    Args:
        size: height and width of the image in pixels.
        rng: the step's random numbers.
        area: share of the image's area.
        scale: factor on both sides, after the shape is drawn.
    """
    share = area ** rng.random()
    height, width = round(size[0] * share * scale), round(size[1] * area / share * scale)
    y, x = rng.integers(size[0] - height + 1), rng.integers(size[1] - width + 1)
    return Box(int(y), int(x), height, width)


def draw_boxes(
    classes: NDArray[np.uint8],
    wanted: Sequence[int],
    min_area: float,
    cell: int,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> list[Box]:
    """One box an image: around an object of the wanted class, else random.

    Args:
        classes: (B, h, w) predicted class indices of the partners.
        wanted: (B,) the class that chose each partner.
        min_area: share of the image that an object must exceed.
        cell: pixels a side of a cell.
        size: height and width of the images in pixels.
        rng: the step's random numbers.
    """
    return [
        object_box(image, class_index, min_area, cell, size, rng) or random_box(size, rng)
        for image, class_index in zip(classes, wanted, strict=True)
    ]


def box_mask(boxes: Sequence[Box], size: tuple[int, int], device: torch.device) -> Tensor:
    """(B, H, W) bool, True inside each image's box."""
    mask = torch.zeros((len(boxes), *size), dtype=torch.bool)
    for layer, box in zip(mask, boxes, strict=True):
        layer[box.y : box.y + box.height, box.x : box.x + box.width] = True
    return mask.to(device)


def mix(base: Tensor, partner: Tensor, inside: Tensor) -> Tensor:
    """Paste the partners over the base images, (B, H, W) or (B, C, H, W), where ``inside`` (B, H, W)."""
    return torch.where(inside if base.ndim == 3 else inside[:, None], partner, base)


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
