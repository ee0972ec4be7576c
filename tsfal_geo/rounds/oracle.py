"""The oracle: the folder's own labels answer the queries, through the same store that people use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize

from tsfal_geo.classes import IGNORE
from tsfal_geo.labels.model import Decision, Label, Query
from tsfal_geo.labels.polygonise import class_polygons
from tsfal_geo.labels.store import LabelStore
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.raster.layer_crs import to_pixels
from tsfal_geo.raster.scene import Scene
from tsfal_geo.rounds.inputs import Inputs

AUTHOR = "oracle"


def answer_queries(store: LabelStore, inputs: Inputs, number: int, queries: Sequence[Query]) -> None:
    """Answer queries with the truth at full resolution, in one transaction.

    Void pixels get no label and are never charged.

    Args:
        store: takes the answers.
        inputs: give the truth.
        number: the queries' round.
        queries: that nobody has answered.
    """
    index = {scene.name: position for position, scene in enumerate(inputs.scenes)}
    labels = [
        label
        for query in queries
        for label in answer(query, inputs.scenes[index[query.scene]], index[query.scene], inputs)
    ]
    decisions = [Decision(query.qid, number, "done", AUTHOR) for query in queries]
    store.add(AUTHOR, labels, decisions)


def answer(query: Query, scene: Scene, position: int, inputs: Inputs) -> Iterator[Label]:
    """Give the truth inside one query: a label for each connected piece of a class.

    Args:
        query: the query.
        scene: that it lies on.
        position: of the scene in the workspace.
        inputs: give the truth.
    """
    mask, y, x = query_mask(query, scene)
    truth = true_classes(inputs.truth, position, mask, y, x)
    for index, polygon in class_polygons(truth, scene.grid, y, x, IGNORE):
        yield Label(
            scene=scene.name,
            class_id=int(inputs.classes.ids[index]),
            geometry=polygon,
            qid=query.qid,
            round=query.round,
            author=AUTHOR,
            source="oracle",
        )


def true_classes(
    truth: LabelReader, scene: int, mask: NDArray[np.bool_], y: int, x: int
) -> NDArray[np.uint8]:
    """Return the true classes of a query's pixels.

    Args:
        truth: the folder's labels.
        scene: position of the scene.
        mask: (h, w) bool, the query's pixels.
        y: the mask's first row in the scene.
        x: its first column.

    Returns:
        (h, w) uint8 class indices, 255 outside the mask and where the truth is void.
    """
    values = truth.read(Window(scene, y, x, *mask.shape))
    return np.where(mask, values, np.uint8(IGNORE))


def query_mask(query: Query, scene: Scene) -> tuple[NDArray[np.bool_], int, int]:
    """Return a query's pixels on its scene's grid: mask (h, w) bool, row and column of its first pixel.

    Args:
        query: the query.
        scene: that it lies on.
    """
    geometry = to_pixels(query.geometry, scene)
    left, top, right, bottom = geometry.bounds
    # Outlines run along pixel edges, so that rounding only takes float noise away.
    x, y = round(left), round(top)
    shape = (round(bottom) - y, round(right) - x)
    mask = rasterize([(geometry, 1)], out_shape=shape, transform=(1, 0, x, 0, 1, y), dtype=np.uint8)
    return mask.astype(bool), y, x
