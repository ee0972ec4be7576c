"""Which windows are read, and in which order: torchgeo samplers, and the deterministic training stream."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DistributedSampler
from torchgeo.samplers import GeoSampler

from tsfal_geo.data.dataset import ChipSlice, OrthoDataset
from tsfal_geo.raster.chips import Chip


class GridChipSampler(GeoSampler):
    """Every chip once, scene by scene, row by row."""

    def __init__(self, dataset: OrthoDataset, chips: Sequence[Chip] | None = None) -> None:
        """Sample ``chips``; None: the chips that the dataset stands for."""
        self.dataset = dataset
        self.chips = tuple(dataset.chips if chips is None else chips)
        self._length = len(self.chips)

    def __iter__(self) -> Iterator[ChipSlice]:
        """Iterate over the chips in order."""
        return map(self.dataset.chip_slice, self.chips)


class RandomChipSampler(GeoSampler):
    """Random windows, aligned to the pixels, each position inside a scene equally likely.

    Scenes are drawn by their area in pixels. A scene smaller than a chip gives a padded chip. Epochs differ;
    a seed and an epoch always give the same windows.
    """

    def __init__(self, dataset: OrthoDataset, *, size: int, length: int, seed: int = 0) -> None:
        """Sample windows.

        Args:
            dataset: whose scenes are sampled.
            size: pixels a side.
            length: chips an epoch.
            seed: of the random numbers.
        """
        self.dataset = dataset
        self.size = size
        self.seed = seed
        self.epoch = 0
        self._length = length

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[ChipSlice]:
        """Iterate over one epoch's windows; the next iteration is the next epoch."""
        generator = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        shapes = np.array([scene.shape for scene in self.dataset.scenes], dtype=np.int64)
        areas = shapes.prod(axis=1)
        scenes = generator.choice(len(shapes), size=self._length, p=areas / areas.sum())
        free = np.maximum(shapes[scenes] - self.size, 0)
        corners = generator.integers(0, free, endpoint=True)
        for scene, (y, x) in zip(scenes.tolist(), corners.tolist(), strict=True):
            yield self.dataset.chip_slice(Chip(scene, 0, 0, y, x, self.size))


_ROUNDING = 1e-6


@dataclass(frozen=True)
class Stream:
    """An endless, reshuffled walk through ``count`` items, cut into the batches of steps and ranks.

    Epoch e's order is the permutation drawn from (seed, name, e). Batch ``step`` of ``rank`` takes the
    positions ``(step · world + rank) · batch …`` of the walk: ranks never share an item of an epoch, and no
    step needs to know the steps before it.

    With ``shares``, in (0, 1], an item is in that share of the epochs: the permutation is sampled
    systematically (equal steps along the cumulative shares), at most once an item.
    """

    name: str
    count: int
    batch: int
    seed: int
    rank: int = 0
    world: int = 1
    shares: tuple[float, ...] | None = None

    def indices(self, step: int) -> list[int]:
        """The items of this rank's batch at ``step``."""
        first = (step * self.world + self.rank) * self.batch
        return [
            int(_epoch_order(self.seed, self.name, epoch, self.shares or self.count)[offset])
            for epoch, offset in (divmod(first + k, self.length) for k in range(self.batch))
        ]

    @property
    def length(self) -> int:
        """Items of an epoch."""
        return _length(self.shares or self.count)

    def seeds(self, step: int) -> list[int]:
        """A seed for each item of the batch, for its augmentation; fits int64."""
        words = [self.seed, zlib.crc32(self.name.encode()), step, self.rank]
        states = np.random.SeedSequence(words).generate_state(self.batch, np.uint64)
        seeds: list[int] = (states >> np.uint64(1)).tolist()
        return seeds


@lru_cache(maxsize=16)
def _epoch_order(seed: int, name: str, epoch: int, items: int | tuple[float, ...]) -> NDArray[np.int64]:
    generator = np.random.default_rng([seed, zlib.crc32(name.encode()), epoch])
    if isinstance(items, int):
        return generator.permutation(items)
    order = generator.permutation(len(items))
    ends = np.cumsum(np.array(items)[order])
    count = _length(items)
    # Steps of at least 1, which no share exceeds: no item is met twice.
    marks = (generator.random() + np.arange(count)) * ends[-1] / count
    positions = np.searchsorted(ends, marks, side="right").clip(max=len(items) - 1)
    return np.asarray(order[positions])


@lru_cache(maxsize=16)
def _length(items: int | tuple[float, ...]) -> int:
    return items if isinstance(items, int) else max(1, int(sum(items) + _ROUNDING))


class FixedSampler(DistributedSampler[int]):
    """Items in a given order, already this rank's own.

    Being a ``DistributedSampler`` tells Lightning that the items are sharded: it would otherwise shard them a
    second time, and pad a validation set with repeated chips.
    """

    def __init__(self, items: Sequence[int], length: int | None = None) -> None:
        """Give ``items``; ``length`` is what ``len`` says, if the items are the rest of something begun."""
        self.items = items
        self.length = len(items) if length is None else length
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        """Iterate over the items."""
        return iter(self.items)

    def __len__(self) -> int:
        """Number of items, those of steps already done included."""
        return self.length
