"""Labels and votes of a scene, which replace the prediction in its map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE

NETWORK, VOTE, LABEL = 0, 1, 2
"""Who says what a map holds: values of the raster ``source``."""


class LabelOverlay(Protocol):
    """Labels and votes of one scene."""

    def read(self, y: int, x: int, height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Class indices of a window, 255 without a label or vote; and ``VOTE`` or ``LABEL`` where it is.

        Returns:
            Two arrays (height, width) uint8.
        """
        ...


def apply_overlay(
    layers: Mapping[str, NDArray[np.uint8]], overlay: LabelOverlay, y: int, x: int
) -> dict[str, NDArray[np.uint8]]:
    """Write labels and votes into the rasters of a block.

    ``classes`` and ``source`` take it; ``error_mask`` is 0 where there are labels, as in a round. Other
    layers stay the network's. Pixels of nodata stay nodata.

    Args:
        layers: as ``export.finished`` gives them, (…, h, w) uint8, ``classes`` among them.
        overlay: of the block's scene.
        y: the block's first row.
        x: its first column.
    """
    classes = layers["classes"]
    classes_over, source = overlay.read(y, x, *classes.shape)
    at = (classes_over != IGNORE) & (classes != IGNORE)
    changed = dict(layers)
    changed["classes"] = np.where(at, classes_over, classes)
    if "source" in layers:
        changed["source"] = np.where(at, source, layers["source"])
    if "error_mask" in layers:
        changed["error_mask"] = np.where(at & (source == LABEL), np.uint8(0), layers["error_mask"])
    return changed
