"""The blocks of a scene whose features are computed together."""

from __future__ import annotations

from collections.abc import Iterator

from tsfal_geo.config.sections import INSTANT_WINDOW
from tsfal_geo.raster.chips import Window

HALO = 64
"""Pixels around a block that its features see."""
BLOCK = INSTANT_WINDOW - 2 * HALO


def blocks(scene: int, height: int, width: int) -> Iterator[Window]:
    """Divide a scene into blocks, row by row.

    Args:
        scene: its index.
        height: its rows.
        width: its columns.
    """
    for y in range(0, height, BLOCK):
        for x in range(0, width, BLOCK):
            yield Window(scene, y, x, min(BLOCK, height - y), min(BLOCK, width - x))
