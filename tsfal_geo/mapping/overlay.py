"""Labels and votes of a scene, which replace the prediction in its map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE

NETWORK, VOTE, LABEL = 0, 1, 2
"""The origins of a map's classes: values of the raster ``source``."""


class LabelOverlay(Protocol):
    """The labels of one scene and, where none lies, PLAR's votes."""

    def read(self, y: int, x: int, height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Read a window.

        Args:
            y: first row.
            x: first column.
            height: rows.
            width: columns.

        Returns:
            Two arrays (height, width) uint8: class indices, 255 without a label or vote; and their origins,
            ``LABEL`` or ``VOTE``, and ``NETWORK`` where the class index is 255.
        """
        ...


def apply_overlay(
    layers: Mapping[str, NDArray[np.uint8]], overlay: LabelOverlay, y: int, x: int
) -> dict[str, NDArray[np.uint8]]:
    """Write labels and votes into the rasters of a block.

    ``classes`` and ``source`` take them, and ``error_mask`` is 0 where labels lie, as in a round. Other
    layers stay the network's, and pixels of nodata stay nodata.

    Args:
        layers: as ``outputs.rasters.raster_layers`` gives them, (…, h, w) uint8, ``classes`` among them.
        overlay: of the block's scene.
        y: the block's first row.
        x: the block's first column.

    Returns:
        The layers; those that differ are new arrays.
    """
    classes = layers["classes"]
    labelled, source = overlay.read(y, x, *classes.shape)
    replaced = (labelled != IGNORE) & (classes != IGNORE)
    changed = dict(layers)
    changed["classes"] = np.where(replaced, labelled, classes)
    if "source" in layers:
        changed["source"] = np.where(replaced, source, layers["source"])
    if "error_mask" in layers:
        changed["error_mask"] = np.where(replaced & (source == LABEL), np.uint8(0), layers["error_mask"])
    return changed
