"""torchgeo's side of ``maps.py peers``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import torch
from common.networks import BATCH, CLASSES, OVERLAP, WINDOW, OneByOne
from torch.utils.data import DataLoader


def pipeline(source: Path, target: Path) -> None:
    """What torchgeo's documentation leads to: gridded windows, a DataLoader, sums in memory, one write."""
    from torchgeo.datasets import RasterDataset
    from torchgeo.samplers import GriddedPatchSampler

    from tsfal_geo.mapping.windows import window_weights

    dataset, layer = RasterDataset(str(source)), OneByOne()
    sampler = GriddedPatchSampler(dataset, size=WINDOW, stride=int(WINDOW * (1 - OVERLAP)))
    with rasterio.open(source) as file:
        profile, transform, (height, width) = file.profile, file.transform, file.shape
    # The grid hangs over the raster on every side.
    total = torch.zeros(CLASSES, height + 2 * WINDOW, width + 2 * WINDOW)
    weights = torch.from_numpy(window_weights(WINDOW))
    weight_sum = torch.zeros(height + 2 * WINDOW, width + 2 * WINDOW)
    queries = iter(list(sampler))
    for batch in DataLoader(dataset, batch_size=BATCH, sampler=sampler):
        for values in layer(batch)["probabilities"]:
            # The batch's own bounds are float32, too coarse for rows of a projected raster.
            east, north, *_ = next(queries)
            column, row = (round(v) + WINDOW for v in ~transform * (east.start, north.stop))
            area = slice(row, row + values.shape[1]), slice(column, column + values.shape[2])
            part = weights[: values.shape[1], : values.shape[2]]
            total[:, *area] += values * part
            weight_sum[area] += part
    inside = slice(WINDOW, WINDOW + height), slice(WINDOW, WINDOW + width)
    classes = total[:, *inside].div_(weight_sum[inside].clamp_min(1e-9)).argmax(0)
    profile.update(count=1, nodata=255, compress="deflate")
    with rasterio.open(target, "w", **profile) as file:
        file.write(classes.numpy().astype(np.uint8), 1)
