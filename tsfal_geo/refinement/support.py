"""Which cells of an image speak for which class (method, sections 4.2 and 4.3)."""

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
        for_means: class of the cells that the class means are taken of, (h·w,) uint8.
        for_covariance: class of the cells that the covariance is estimated from, (h·w,) uint8.
        available: classes with enough support, (C,) bool.
    """

    for_means: Tensor
    for_covariance: Tensor
    available: Tensor


def label_cells(labels: Tensor, purity: float) -> Tensor:
    """Bring full-resolution labels to cells: the class that fills at least ``purity`` of a cell, else 255.

    Args:
        labels: (..., H, W) uint8, 255 where unlabelled; H and W are multiples of 4.
        purity: share of the cell's 16 pixels; ignored pixels count against it.

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
    """The 16 pixels of each cell: (..., H, W) to (..., H/4, W/4, 16)."""
    height, width = pixels.shape[-2:]
    blocks = pixels.unflatten(-1, (width // CELL, CELL)).unflatten(-3, (height // CELL, CELL))
    return blocks.movedim(-3, -2).flatten(-2)


def choose_support(
    manual: Tensor, pseudo: Tensor, conf: Tensor, mask: Tensor, config: PlarConfig, classes: int
) -> Support:
    """Choose support within one image.

    With ``auto``, 16 manual cells (bought inside the mask, so typical of it) suffice; below that the reliable
    pseudo-labels join them. Reliable cells come from easy interiors: they never mix into the means where
    manual cells suffice, only into the covariance while the manual cells are too few to estimate one.

    Args:
        manual: (h, w) uint8 from ``label_cells``; 255 where no person labelled.
        pseudo: (h, w) uint8, the teacher's class; 255 on padding.
        conf: (h, w) float, the teacher's largest probability.
        mask: (h, w) bool, the error mask.
        config: rule and thresholds.
        classes: C.
    """
    manual, pseudo = manual.flatten(), pseudo.flatten()
    sure = (conf.flatten() >= config.reliable_confidence) & ~mask.flatten() & (manual == IGNORE)
    reliable = torch.where(sure, pseudo, IGNORE).to(torch.uint8)
    by_hand = cells_per_class(manual, classes)
    if config.support == "manual" or (
        config.support == "auto" and int(by_hand.sum()) >= config.min_manual_cells
    ):
        enough = int(by_hand.sum()) >= COVARIANCE_CELLS
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
    """Images whose votes rest on people's labels; others repeat the network.

    Args:
        cells: (N, h, w) uint8 from ``label_cells``.
        config: the support's rule, and how many labelled cells are enough.

    Returns:
        (N,) bool.
    """
    enough = (cells != IGNORE).flatten(1).sum(1) >= config.min_manual_cells
    return enough & (config.support != "reliable")


def cells_per_class(cells: Tensor, classes: int) -> Tensor:
    """Cells of each class, (C,) int64."""
    return torch.bincount(cells.flatten().long(), minlength=256)[:classes]


def _union(first: Tensor, second: Tensor) -> Tensor:
    return torch.where(first == IGNORE, second, first)
