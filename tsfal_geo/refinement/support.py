"""Support of PLAR's statistics: the cells of an image that represent each class.

The paper takes the statistics from labelled pixels of the same image (Ma, Karakus, Rosin, arXiv 2501.19227,
equations 6 to 9). An unlabelled image has none at first. Our reading: reliable pseudo-labels, confident and
outside the error mask, are support until the annotator has labelled enough of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tsfal_geo.classes import IGNORE
from tsfal_geo.config import PlarConfig

CELL = 4
COVARIANCE_CELLS = 128


@dataclass(frozen=True)
class Support:
    """Support of one image; cells row by row, 255 where a cell is not used.

    Attributes:
        for_means: class of the cells that enter the class means, (h·w,) uint8.
        for_covariance: class of the cells that enter the covariance, (h·w,) uint8.
        available: classes with enough support, (C,) bool.
    """

    for_means: Tensor
    for_covariance: Tensor
    available: Tensor


def label_cells(labels: Tensor, purity: float) -> Tensor:
    """Bring full-resolution labels to cells: the class that fills enough of a cell, else 255.

    Args:
        labels: (..., H, W) uint8, 255 where unlabelled; H and W are multiples of 4.
        purity: share of the cell's 16 pixels that one class has to fill; unlabelled pixels count against it.

    Returns:
        (..., H/4, W/4) uint8.
    """
    blocks = pixels_by_cell(labels)
    counts = torch.zeros((*blocks.shape[:-1], 256), dtype=torch.uint8, device=labels.device)
    counts.scatter_add_(-1, blocks.long(), torch.ones_like(blocks))
    counts[..., IGNORE] = 0
    most, winner = counts.max(-1)
    pure = most >= purity * CELL * CELL
    return torch.where(pure & (most > 0), winner, IGNORE).to(torch.uint8)


def pixels_by_cell(pixels: Tensor) -> Tensor:
    """Group the 16 pixels of each cell.

    Args:
        pixels: (..., H, W); H and W are multiples of 4.

    Returns:
        (..., H/4, W/4, 16), row by row.
    """
    height, width = pixels.shape[-2:]
    columns = torch.unflatten(pixels, -1, (width // CELL, CELL))
    return torch.unflatten(columns, -3, (height // CELL, CELL)).movedim(-3, -2).flatten(-2)


def choose_support(
    manual: Tensor, pseudo: Tensor, conf: Tensor, mask: Tensor, config: PlarConfig, classes: int
) -> Support:
    """Choose support within one image.

    With ``auto``, 16 manual cells suffice: annotators label inside the mask, so these cells are typical of
    it. With fewer, reliable pseudo-labels join them. Reliable cells lie in easy interiors and would pull
    the means away from the mask. So they never enter the means where manual cells suffice, and enter the
    covariance only while the manual cells are too few to estimate one. With ``manual``, they enter neither,
    as in the paper.

    Args:
        manual: (h, w) uint8 from ``label_cells``; 255 where no annotator labelled.
        pseudo: (h, w) uint8, the teacher's classes; 255 on padding.
        conf: (h, w) float, the teacher's largest probability.
        mask: (h, w) bool, the error mask.
        config: rule and thresholds.
        classes: C.
    """
    manual, pseudo = manual.flatten(), pseudo.flatten()
    confident = (conf.flatten() >= config.reliable_confidence) & ~mask.flatten() & (manual == IGNORE)
    reliable = torch.where(confident, pseudo, IGNORE).to(torch.uint8)
    by_hand = cells_per_class(manual, classes)
    alone = config.support == "manual"
    if alone or (config.support == "auto" and int(by_hand.sum()) >= config.min_manual_cells):
        enough = alone or int(by_hand.sum()) >= COVARIANCE_CELLS
        return Support(manual, manual if enough else _union(manual, reliable), by_hand > 0)
    available = cells_per_class(reliable, classes) >= config.min_class_cells
    cells = reliable
    if config.support != "reliable":
        available |= by_hand > 0
        cells = _union(manual, reliable)
    used = torch.zeros(256, dtype=torch.bool, device=available.device)
    used[:classes] = available
    cells = torch.where(used[cells.long()], cells, IGNORE).to(torch.uint8)
    return Support(cells, cells, available)


def supported_by_labels(cells: Tensor, config: PlarConfig) -> Tensor:
    """Select the images whose votes rest on annotators' labels; other votes rest on pseudo-labels.

    Args:
        cells: (N, h, w) uint8 from ``label_cells``.
        config: the support's rule, and the number of labelled cells that suffice.

    Returns:
        (N,) bool.
    """
    enough = (cells != IGNORE).flatten(1).sum(1) >= config.min_manual_cells
    return enough & (config.support != "reliable")


def cells_per_class(cells: Tensor, classes: int) -> Tensor:
    """Count the cells of each class.

    Args:
        cells: uint8 classes of any shape; 255 counts for none.
        classes: C.

    Returns:
        (C,) int64.
    """
    return torch.bincount(cells.flatten().long(), minlength=256)[:classes]


def _union(first: Tensor, second: Tensor) -> Tensor:
    return torch.where(first == IGNORE, second, first)
