"""Labels of pixels as labels of cells, and the connected labels that count as one answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tsfal_geo.classes import IGNORE
from tsfal_geo.refinement.support import CELL

_PURITY = 0.9


def label_cells(labels: NDArray[np.uint8], classes: int) -> NDArray[np.uint8]:
    """Bring labels to cells: the class of nearly all labelled pixels of a cell, however few these are.

    A point labels one pixel of a cell, and teaches as much as a polygon over it.

    Args:
        labels: (H, W) uint8 class indices, 255 without a label.
        classes: C.

    Returns:
        (⌈H/4⌉, ⌈W/4⌉) uint8 class indices, 255 without a label and where classes meet.
    """
    height, width = labels.shape
    padded = np.pad(labels, ((0, -height % CELL), (0, -width % CELL)), constant_values=IGNORE)
    by_cell = padded.reshape(padded.shape[0] // CELL, CELL, padded.shape[1] // CELL, CELL)
    cells = np.full((by_cell.shape[0], by_cell.shape[2]), IGNORE, np.uint8)
    labelled = (by_cell != IGNORE).sum((1, 3))
    for index in range(classes):
        count = (by_cell == index).sum((1, 3))
        cells[(count > 0) & (count >= _PURITY * labelled)] = index
    return cells


def answers_of(cells: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Number the connected labels of one class: what people give in one answer.

    Args:
        cells: (h, w) uint8 class indices, 255 without a label.

    Returns:
        (h, w) int64, from 1; 0 without a label.
    """
    numbers = np.zeros(cells.shape, np.int64)
    for index in np.unique(cells[cells != IGNORE]).tolist():
        own, _ = ndimage.label(cells == index)
        numbers += np.where(own > 0, own + numbers.max(), 0)
    return numbers
