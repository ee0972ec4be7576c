"""Pictures of results with Matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import ClassMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NO_DATA = (255, 255, 255)


def new_axes(width: float = 6, height: float = 5) -> Axes:
    """Return axes on a figure of their own, of a size in inches; no global state is touched."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained").subplots()


def plot_classes(ids: NDArray[np.uint8], classes: ClassMap, ax: Axes | None = None) -> Axes:
    """Draw class ids in their colours, with a legend.

    Args:
        ids: (H, W) uint8, 255 where there is no data.
        classes: ids, names and colours.
        ax: axes to draw on; None: new ones.

    Returns:
        The axes.
    """
    from matplotlib.patches import Patch

    ax = ax or new_axes()
    table = np.full((256, 3), _NO_DATA, np.uint8)
    for info in classes.classes:
        table[info.id] = info.colour
    ax.imshow(table[ids], interpolation="nearest")
    ax.set_axis_off()
    handles = [
        Patch(color="#{:02x}{:02x}{:02x}".format(*info.colour), label=info.name) for info in classes.classes
    ]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return ax


def plot_confusion(matrix: NDArray[np.int64], names: tuple[str, ...], ax: Axes | None = None) -> Axes:
    """Draw a confusion matrix in shares of its rows.

    Args:
        matrix: (C, C) pixel counts, rows the truth, columns the prediction.
        names: of the classes.
        ax: axes to draw on; None: new ones.

    Returns:
        The axes.
    """
    ax = ax or new_axes()
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    ax.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right")
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("predicted")
    ax.set_ylabel("truth")
    for row, column in np.ndindex(*shares.shape):
        value = shares[row, column]
        ax.text(
            column, row, f"{value:.0%}", ha="center", va="center", color="white" if value > 0.5 else "black"
        )
    return ax
