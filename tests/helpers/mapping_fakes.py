"""Scenes in memory, and a network whose result is the image itself."""

from dataclasses import astuple, dataclass
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn.functional import one_hot

from tsfal_geo.raster.reader import Patch


@dataclass
class MemoryReader:
    """Reads windows of arrays; remembers how often each pixel was read."""

    image: np.ndarray
    valid: np.ndarray

    def __post_init__(self):
        height, width = self.valid.shape
        self.scenes = (SimpleNamespace(height=height, width=width),)
        self.reads = np.zeros(self.valid.shape, int)

    def read(self, window):
        _, y, x, height, width = astuple(window)
        image = np.zeros((len(self.image), height, width), self.image.dtype)
        valid = np.zeros((height, width), bool)
        rows, columns = self.valid.shape
        source = slice(max(y, 0), min(y + height, rows)), slice(max(x, 0), min(x + width, columns))
        target = tuple(slice(s.start - o, s.stop - o) for s, o in zip(source, (y, x), strict=True))
        image[:, *target] = self.image[:, *source]
        valid[target] = self.valid[source]
        self.reads[source] += 1
        return Patch(image, valid)


class Identity:
    """A network whose class is the pixel's value in the first band; counts its windows."""

    def __init__(self, classes=6):
        self.classes = classes
        self.batches = []

    def __call__(self, batch):
        self.batches.append(len(batch["image"]))
        values = batch["image"][:, 0].long().clamp(0, self.classes - 1)
        return {"probabilities": one_hot(values, self.classes).permute(0, 3, 1, 2)}


class Collect:
    """Gathers the rows of a scene; fails where a pixel comes twice."""

    def __init__(self, height, width):
        self.layers = {}
        self.valid = np.zeros((height, width), bool)
        self.counts = np.zeros((height, width), int)
        self.tallest = 0

    def __call__(self, rows):
        height, width = rows.valid.shape
        place = slice(rows.y, rows.y + height), slice(rows.x, rows.x + width)
        self.counts[place] += 1
        self.valid[place] = rows.valid
        self.tallest = max(self.tallest, height)
        for name, values in rows.layers.items():
            assert values.shape[1:] == rows.valid.shape and values.dtype == torch.float32
            layer = self.layers.setdefault(name, np.zeros((len(values), *self.counts.shape), np.float32))
            layer[:, *place] = values.numpy()

    def classes(self):
        classes = self.layers["probabilities"].argmax(0).astype(np.uint8)
        return np.where(self.valid, classes, 255).astype(np.uint8)
