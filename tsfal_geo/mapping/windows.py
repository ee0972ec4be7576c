"""The places of a wall-to-wall prediction's overlapping windows, and the weights of their pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ALIGN = 4
"""Windows start at its multiples: networks predict at stride 4, so that the cells of all windows coincide."""


@dataclass(frozen=True)
class Strip:
    """Columns of a raster that are predicted together, so that memory does not grow with the raster's width.

    Attributes:
        x0: first pixel column of the strip.
        x1: end of its pixel columns (exclusive).
        starts: left edges of all windows that reach into the strip or touch it.
    """

    x0: int
    x1: int
    starts: tuple[int, ...]


def window_starts(length: int, window: int, overlap: float) -> tuple[int, ...]:
    """Place overlapping windows along an axis; the last one is shifted back to the axis' end.

    All starts are multiples of ``ALIGN``, so that the last window may extend beyond the end by up to
    ``ALIGN - 1`` pixels. An axis shorter than a window has one window, which extends beyond it.

    Args:
        length: pixels along the axis, at least 1.
        window: pixels along a window, a multiple of ``ALIGN``.
        overlap: share of a window that its neighbour covers too, in [0, 1). Neighbours share two cells at
            least, whatever the share.

    Returns:
        First pixel of each window, ascending.

    Raises:
        ValueError: a window that is no multiple of ``ALIGN`` or too small.
    """
    if window % ALIGN or window < 4 * ALIGN:
        raise ValueError(f"window is {window}, expected a multiple of {ALIGN} of at least {4 * ALIGN}")
    step = math.floor(window * (1 - overlap) / ALIGN) * ALIGN
    # Upsampling reads the cells beside a pixel: a window that holds the pixel must cover them too.
    step = min(max(step, ALIGN), window - 2 * ALIGN)
    last = max(0, math.ceil(length / ALIGN) * ALIGN - window)
    return (*range(0, last, step), last)


def strips(width: int, window: int, overlap: float, widest: int, tile: int) -> Iterator[Strip]:
    """Divide a raster's columns into strips of about equal width; the windows stay those of the full raster.

    Args:
        width: pixels a row.
        window: pixels along a window.
        overlap: as for ``window_starts``.
        widest: the widest strip allowed, in pixels.
        tile: strips start at multiples of it.

    Yields:
        The strips from the left.
    """
    starts = window_starts(width, window, overlap)
    count = math.ceil(width / widest)
    pixels = math.ceil(width / count / tile) * tile
    for x0 in range(0, width, pixels):
        x1 = min(x0 + pixels, width)
        yield Strip(x0, x1, touching(starts, window, x0, x1))


def touching(starts: tuple[int, ...], window: int, first: int, end: int) -> tuple[int, ...]:
    """Select the windows that reach into a range of pixels, or touch it.

    Args:
        starts: first pixel of each window.
        window: pixels along a window.
        first: first pixel of the range.
        end: end of the range (exclusive).
    """
    return tuple(start for start in starts if start < end + ALIGN and start + window > first - ALIGN)


def window_weights(cells: int) -> NDArray[np.float32]:
    """Compute the raised-cosine weights of a window's cells.

    At a window's rim a network has the least context. There the weight is a thousandth of that in the middle,
    along each axis, but never 0, so that every covered cell has a value.

    Args:
        cells: along a window.

    Returns:
        (cells, cells) float32, positive.
    """
    ramp = np.sin(np.pi * (np.arange(cells) + 0.5) / cells) ** 2
    ramp = np.maximum(ramp, 1e-3)
    weights: NDArray[np.float32] = np.outer(ramp, ramp).astype(np.float32)
    return weights
