"""AEL's adaptive augmentation: badly known classes are mixed and pasted more often (Hu et al. 2021).

Adaptive CutMix pastes an object of a partner image, found in the teacher's predictions, onto an unlabelled
image. Adaptive copy-paste pastes rare classes of one labelled image onto another. The confidence bank gives
the probabilities of both.
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

SCALE = (0.1, 2.0)
"""Smallest and largest factor by which copy-paste rescales the image that it pastes from (AEL)."""

_EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Box:
    """A box of pixels.

    Attributes:
        y: first row.
        x: first column.
        height: number of rows.
        width: number of columns.
    """

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
    """Return the bounding box of a random connected component of a class.

    Components are found on the stride-4 cells of the predictions, 16 times fewer than pixels. The sides of a
    box differ by less than one cell (4 pixels) from those at full resolution.

    Args:
        classes: (h, w) predicted class index of each cell.
        class_index: the class of the components.
        min_area: share of the map that a component must exceed.
        cell: pixels a side of a cell.
        size: height and width of the image in pixels, at most those of the cells.
        rng: chooses among the components.

    Returns:
        The box, within the image; None if no component is large enough.
    """
    components, count = ndimage.label(classes == class_index, structure=_EIGHT_CONNECTED)
    areas = np.bincount(components.ravel(), minlength=count + 1)[1:]
    large = np.flatnonzero(areas > min_area * classes.size)
    if not len(large):
        return None
    # AEL tries components in random order until one is large enough: a uniform draw among the large ones.
    rows, columns = ndimage.find_objects(components)[rng.choice(large)]
    y, x = cell * rows.start, cell * columns.start
    return Box(y, x, min(cell * rows.stop, size[0]) - y, min(cell * columns.stop, size[1]) - x)


def random_box(size: tuple[int, int], rng: np.random.Generator, area: float = 0.5, scale: float = 1.0) -> Box:
    """Draw a box anywhere in the image.

    Its height is the share area^u of the image's and its width the share area^(1−u), u uniform in [0, 1).

    Args:
        size: height and width of the image in pixels.
        rng: the step's random numbers.
        area: share of the image's area.
        scale: factor on both sides, after the shape is drawn.

    Returns:
        The box, within the image.
    """
    share = area ** rng.random()
    height, width = round(size[0] * share * scale), round(size[1] * area / share * scale)
    y, x = rng.integers(size[0] - height + 1), rng.integers(size[1] - width + 1)
    return Box(int(y), int(x), height, width)


def draw_boxes(
    classes: NDArray[np.uint8],
    drawn_classes: Sequence[int],
    min_area: float,
    cell: int,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> list[Box]:
    """Draw one box an image: around an object of the drawn class, or anywhere if there is none.

    Args:
        classes: (B, h, w) predicted class indices of the partners.
        drawn_classes: B class indices, each of which chose its partner.
        min_area: share of the image that an object must exceed.
        cell: pixels a side of a cell.
        size: height and width of the images in pixels.
        rng: the step's random numbers.

    Returns:
        B boxes.
    """
    return [
        object_box(image, class_index, min_area, cell, size, rng) or random_box(size, rng)
        for image, class_index in zip(classes, drawn_classes, strict=True)
    ]


def box_mask(boxes: Sequence[Box], size: tuple[int, int], device: torch.device) -> Tensor:
    """Rasterise one box an image.

    Args:
        boxes: B boxes.
        size: height and width of the images in pixels.
        device: of the result.

    Returns:
        (B, H, W) bool, True inside each image's box.
    """
    mask = torch.zeros((len(boxes), *size), dtype=torch.bool)
    for layer, box in zip(mask, boxes, strict=True):
        layer[box.y : box.y + box.height, box.x : box.x + box.width] = True
    return mask.to(device)


def mix(base: Tensor, partner: Tensor, inside: Tensor) -> Tensor:
    """Replace base images by their partners inside a mask.

    Args:
        base: (B, H, W) or (B, C, H, W).
        partner: as ``base``.
        inside: (B, H, W) bool, True where the partner shows.

    Returns:
        As ``base``.
    """
    return torch.where(inside if base.ndim == 3 else inside[:, None], partner, base)


def tail_classes(counts: Sequence[int]) -> tuple[int, ...]:
    """Return the classes that occur, but on fewer than 1/C of the labelled pixels.

    AEL lists its tail classes by name for Cityscapes; the share is our general rule.

    Args:
        counts: (C,) labelled pixels of each class.

    Returns:
        Class indices, ascending.
    """
    total = sum(counts)
    return tuple(c for c, count in enumerate(counts) if 0 < count * len(counts) < total)


def draw_classes(
    tail: Sequence[int], probabilities: NDArray[np.float64], number: int, rng: np.random.Generator
) -> list[int]:
    """Draw tail classes with replacement and drop repetitions.

    Args:
        tail: class indices.
        probabilities: (len(tail),) with sum 1.
        number: number of draws.
        rng: the step's random numbers.

    Returns:
        Class indices, ascending.
    """
    return sorted({tail[i] for i in rng.choice(len(tail), size=number, p=probabilities)})


def paste(
    image: Tensor, label: Tensor, donor: Tensor, donor_label: Tensor, classes: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Overwrite image and label with a donor's pixels of the given classes.

    Args:
        image: (C, H, W) float.
        label: (H, W) class indices.
        donor: as ``image``.
        donor_label: as ``label``.
        classes: class indices to paste.

    Returns:
        The new image and label.
    """
    inside = torch.isin(donor_label, torch.tensor(classes, dtype=donor_label.dtype, device=label.device))
    return torch.where(inside, donor, image), torch.where(inside, donor_label, label)


def rescale(
    image: Tensor, label: Tensor, scale: float, fill: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Scale a labelled image and crop or pad it, at a random position, to its old size.

    Args:
        image: (C, H, W) float, interpolated bilinearly; antialiased, because it may shrink tenfold.
        label: (H, W) class indices, nearest neighbour.
        scale: factor on both sides.
        fill: label of the padding; the image is padded with 0.
        rng: the step's random numbers.

    Returns:
        Image and label of the old size.
    """
    height, width = label.shape
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    scaled = F.interpolate(image[None], size, mode="bilinear", align_corners=False, antialias=True)[0]
    scaled_label = F.interpolate(label[None, None].float(), size, mode="nearest-exact")[0, 0].to(label.dtype)
    top, left = (
        int(rng.integers(min(room, 0), max(room, 0) + 1)) for room in (height - size[0], width - size[1])
    )
    # F.pad crops where a pad is negative, so that one call serves images that grew and images that shrank.
    pads = (left, width - size[1] - left, top, height - size[0] - top)
    return F.pad(scaled, pads), F.pad(scaled_label, pads, value=fill)
