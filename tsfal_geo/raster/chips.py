"""Windows of a scene's grid, and chips: the windows that are the unit of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tsfal_geo.raster.scene import Scene

Edge = Literal["shift", "pad"]


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels of one scene; it may hang over the scene's edges.

    Attributes:
        scene: index of the scene in its list.
        y: first pixel row; may be negative.
        x: first pixel column; may be negative.
        height: rows.
        width: columns.
    """

    scene: int
    y: int
    x: int
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    def inside(self, height: int, width: int) -> tuple[int, int, int, int] | None:
        """Cut the window to a raster.

        Args:
            height: rows of the raster.
            width: columns of the raster.

        Returns:
            First row, end row, first column and end column in the raster; None where they do not meet.
        """
        top, bottom = max(self.y, 0), min(self.y + self.height, height)
        left, right = max(self.x, 0), min(self.x + self.width, width)
        return (top, bottom, left, right) if top < bottom and left < right else None


@dataclass(frozen=True)
class Chip:
    """One square window of a scene, pixel-aligned.

    Attributes:
        scene: index of the scene in its list.
        row: row in the grid of chips.
        col: column in the grid of chips.
        y: first pixel row.
        x: first pixel column.
        size: pixels a side; the window may hang over the scene's lower and right edge.
    """

    scene: int
    row: int
    col: int
    y: int
    x: int
    size: int

    @property
    def window(self) -> Window:
        """The chip as a window of its scene."""
        return Window(self.scene, self.y, self.x, self.size, self.size)


def chip_grid(height: int, width: int, size: int, edge: Edge) -> list[tuple[int, int, int, int]]:
    """Cut a raster into ⌈height/size⌉ · ⌈width/size⌉ chips, row by row.

    A raster smaller than a chip is one chip that hangs over its edge.

    Args:
        height: rows of the raster.
        width: columns of the raster.
        size: pixels a side of a chip.
        edge: ``shift`` moves the last row and column of chips back into the raster, as the paper's Vaihingen
            protocol does; ``pad`` lets them hang over.

    Returns:
        (row, col, y, x) of every chip: its place in the grid of chips, then its first pixel.
    """
    rows, cols = _starts(height, size, edge), _starts(width, size, edge)
    return [(row, col, y, x) for row, y in enumerate(rows) for col, x in enumerate(cols)]


def scene_chips(scenes: Sequence[Scene], size: int, edge: Edge) -> list[Chip]:
    """Cut scenes into chips.

    Args:
        scenes: the scenes.
        size: pixels a side of a chip.
        edge: as for `chip_grid`.

    Returns:
        Every chip, in the order of the scenes, then row by row.
    """
    return [
        Chip(index, row, col, y, x, size)
        for index, scene in enumerate(scenes)
        for row, col, y, x in chip_grid(scene.height, scene.width, size, edge)
    ]


def owned_part(chip: Chip, height: int, width: int) -> tuple[slice, slice]:
    """Find the part of a chip that no earlier chip of its scene holds.

    Chips of the last row and column are shifted back over their neighbours. Giving every pixel to the first
    chip that holds it makes the chips a partition of the scene: no pixel is queried or counted twice.

    Args:
        chip: a chip of the scene's grid of chips.
        height: rows of the scene.
        width: columns of the scene.

    Returns:
        Rows and columns in the chip's own array.
    """
    top, left = chip.row * chip.size - chip.y, chip.col * chip.size - chip.x
    bottom, right = min(chip.size, height - chip.y), min(chip.size, width - chip.x)
    return slice(top, bottom), slice(left, right)


def _starts(length: int, size: int, edge: Edge) -> list[int]:
    last = max(length - size, 0) if edge == "shift" else length
    return [min(start, last) for start in range(0, length, size)]
