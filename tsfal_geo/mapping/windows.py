"""Where the overlapping windows of a wall-to-wall prediction lie, and how much their pixels count."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Networks answer at stride 4: with windows that start at multiples of it, their cells coincide.
ALIGN = 4


@dataclass(frozen=True)
class Strip:
    """Columns of a raster that are predicted together, so that memory does not grow with its width.

    Attributes:
        x0: first pixel column of the strip.
        x1: end of its pixel columns (exclusive).
        starts: left edges of all windows that reach into the strip or touch it.
    """

    x0: int
    x1: int
    starts: tuple[int, ...]


def window_starts(length: int, window: int, overlap: float) -> tuple[int, ...]:
    """Starts of overlapping windows along an axis, the last one shifted back to the axis' end.

    All starts are multiples of ``ALIGN``, so the last window may hang over the end by up to ``ALIGN - 1``
    pixels; over an axis shorter than a window hangs the only one.

    Args:
        length: pixels along the axis, at least 1.
        window: pixels along a window, a multiple of ``ALIGN``.
        overlap: share of a window that its neighbour covers too, in [0, 1); at least two cells are.

    Raises:
        ValueError: a window that is no multiple of ``ALIGN`` or too small.
    """
    if window % ALIGN or window < 4 * ALIGN:
        raise ValueError(f"window is {window}, expected a multiple of {ALIGN} of at least {4 * ALIGN}")
    step = math.floor(window * (1 - overlap) / ALIGN) * ALIGN
    # Every valid pixel's neighbouring cells must be covered by a window that sees it (see Blender.rows).
    step = min(max(step, ALIGN), window - 2 * ALIGN)
    last = max(0, math.ceil(length / ALIGN) * ALIGN - window)
    return (*range(0, last, step), last)


def strips(width: int, window: int, overlap: float, widest: int, tile: int) -> Iterator[Strip]:
    """Cut a raster's columns into strips of about equal width; the windows stay those of the whole raster.

    Args:
        width: pixels a row.
        window: pixels along a window.
        overlap: as for ``window_starts``.
        widest: the widest strip allowed, in pixels.
        tile: strips start at multiples of it.
    """
    starts = window_starts(width, window, overlap)
    count = math.ceil(width / widest)
    pixels = math.ceil(width / count / tile) * tile
    for x0 in range(0, width, pixels):
        x1 = min(x0 + pixels, width)
        yield Strip(x0, x1, touching(starts, window, x0, x1))


def touching(starts: tuple[int, ...], window: int, first: int, end: int) -> tuple[int, ...]:
    """The windows that reach into the pixels from ``first`` to before ``end`` of an axis, or touch them."""
    return tuple(start for start in starts if start < end + ALIGN and start + window > first - ALIGN)


def window_weights(cells: int) -> NDArray[np.float32]:
    """Raised-cosine weights of a window's cells, strictly positive, (cells, cells).

    A window's rim, where the network sees least around, counts a thousandth of its middle along each axis.
    """
    ramp = np.sin(np.pi * (np.arange(cells) + 0.5) / cells) ** 2
    ramp = np.maximum(ramp, 1e-3)
    weights: NDArray[np.float32] = np.outer(ramp, ramp).astype(np.float32)
    return weights
