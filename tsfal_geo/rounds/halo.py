"""Windows around chips: networks are unsure where their input ends, so that it reaches beyond the chip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tsfal_geo.raster.chips import Chip
from tsfal_geo.raster.scene import Scene

STEP = 32  # cells of every stage of the network line up with the chip's own


@dataclass(frozen=True)
class ChipWindow:
    """A pixel window of a scene with a chip in it.

    Attributes:
        y: first pixel row of the window.
        x: first pixel column.
        height: rows; the same for all chips of a scene.
        width: columns, likewise.
        top: row of the chip's first pixel in the window, a multiple of 32.
        left: column, likewise.
        size: pixels a side of the chip.
    """

    y: int
    x: int
    height: int
    width: int
    top: int
    left: int
    size: int

    def own(self, values: Tensor, stride: int) -> Tensor:
        """Cut the chip's part out of values of the window.

        Args:
            values: (..., h, w), ``stride`` pixels a cell.
            stride: 1, 2, 4, … 32.
        """
        top, left, size = self.top // stride, self.left // stride, self.size // stride
        return values[..., top : top + size, left : left + size]


def padded_window(chip: Chip, scene: Scene, halo: int) -> ChipWindow:
    """Return the window around a chip with ``halo`` pixels on each side.

    At the scene's edge the window is shifted into the scene. In a small scene it shrinks, at most to the
    chip.

    Args:
        chip: of the scene.
        scene: gives the size.
        halo: pixels, a multiple of 32.
    """
    height, top = _span(chip.y, chip.size, scene.height, halo)
    width, left = _span(chip.x, chip.size, scene.width, halo)
    return ChipWindow(chip.y - top, chip.x - left, height, width, top, left, chip.size)


def own_parts(values: Tensor, windows: Sequence[ChipWindow], stride: int) -> Tensor:
    """Cut the chips' parts out of a batch of windows.

    Args:
        values: (N, ..., h, w), ``stride`` pixels a cell.
        windows: N windows of one size.
        stride: 1, 2, 4, … 32.

    Returns:
        (N, ..., size / stride, size / stride).
    """
    # Concatenating images keeps channels_last, stacking would not.
    return torch.cat([window.own(values[i : i + 1], stride) for i, window in enumerate(windows)])


def _span(start: int, size: int, length: int, halo: int) -> tuple[int, int]:
    """Return the window's length along one axis, and the chip's begin in it."""
    window = max(min(size + 2 * halo, length // STEP * STEP), size)
    least = max(start + window - length, 0)
    most = min(start, window - size) // STEP * STEP
    return window, min(max(halo, -(-least // STEP) * STEP), most)
