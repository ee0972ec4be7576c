"""Which labels count: the folder's labels inside the chips that were drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE
from tsfal_geo.raster.chips import Chip
from tsfal_geo.raster.labels import LabelReader


class ChipLabels:
    """Labels of another reader, seen only inside the given chips; 255 elsewhere."""

    def __init__(self, labels: LabelReader, chips: Sequence[Chip]) -> None:
        self._labels = labels
        self._chips: dict[int, list[Chip]] = defaultdict(list)
        for chip in chips:
            self._chips[chip.scene].append(chip)

    def read(self, scene: int, y: int, x: int, height: int, width: int) -> NDArray[np.uint8]:
        """Class indices of a window, uint8 (height, width)."""
        seen = np.zeros((height, width), bool)
        for chip in self._chips.get(scene, ()):
            top, left = max(chip.y - y, 0), max(chip.x - x, 0)
            bottom, right = min(chip.y + chip.size - y, height), min(chip.x + chip.size - x, width)
            if top < bottom and left < right:
                seen[top:bottom, left:right] = True
        if not seen.any():
            return np.full((height, width), IGNORE, np.uint8)
        values = self._labels.read(scene, y, x, height, width)
        return np.where(seen, values, np.uint8(IGNORE))
