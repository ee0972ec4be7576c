"""Order of the chips: torchgeo samplers, and the deterministic training stream."""

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
    """Sampler of every chip once, in order.

    Args:
        dataset: reads the chips.
        chips: chips in the order of the samples; None for those of the dataset.
    """

    def __init__(self, dataset: OrthoDataset, chips: Sequence[Chip] | None = None) -> None:
        self.dataset = dataset
        self.chips = tuple(dataset.chips if chips is None else chips)
        self._length = len(self.chips)

    def __iter__(self) -> Iterator[ChipSlice]:
        """Iterate over the chips in order."""
        return map(self.dataset.chip_slice, self.chips)


class RandomChipSampler(GeoSampler):
    """Sampler of random windows, aligned to the pixels, with equal chances for each position in a scene.

    Scenes are drawn by their area in pixels. A scene smaller than a chip gives a padded chip. The windows
    depend on seed and epoch alone, and epochs differ.

    Args:
        dataset: the scenes.
        size: pixels a side of a window.
        length: windows an epoch.
        seed: of the random numbers.
    """

    def __init__(self, dataset: OrthoDataset, *, size: int, length: int, seed: int = 0) -> None:
        self.dataset = dataset
        self.size = size
        self.seed = seed
        self.epoch = 0
        self._length = length

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration.

        Args:
            epoch: number of the epoch, from 0.
        """
        self.epoch = epoch

    def __iter__(self) -> Iterator[ChipSlice]:
        """Iterate over the windows of an epoch; the next iteration is the next epoch."""
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
    """An endless sequence of shuffled epochs of ``count`` items, divided into the batches of steps and ranks.

    The order of epoch e is the permutation drawn from (seed, name, e). Batch ``step`` of ``rank`` takes the
    positions ``(step · world + rank) · batch …`` of the sequence. Ranks never share an item of an epoch, and
    a step does not depend on the steps before it.

    With ``shares``, an item is in that share of the epochs. Systematic sampling draws an epoch: equal steps
    along the cumulative shares of the permuted items.

    Attributes:
        name: of the stream; streams of different names are independent.
        count: items.
        batch: items of a batch.
        seed: of the permutations.
        rank: number of this process among ``world``.
        world: number of processes.
        shares: (count,) in (0, 1]; None if every item is in every epoch.
    """

    name: str
    count: int
    batch: int
    seed: int
    rank: int = 0
    world: int = 1
    shares: tuple[float, ...] | None = None

    def indices(self, step: int) -> list[int]:
        """Give the items of this rank's batch.

        Args:
            step: number of the step, from 0.

        Returns:
            ``batch`` numbers of items.
        """
        first = (step * self.world + self.rank) * self.batch
        return [
            int(_epoch_order(self.seed, self.name, epoch, self.shares or self.count)[offset])
            for epoch, offset in (divmod(first + k, self.length) for k in range(self.batch))
        ]

    @property
    def length(self) -> int:
        """Number of items of an epoch."""
        return _length(self.shares or self.count)

    def seeds(self, step: int) -> list[int]:
        """Give the seeds of the augmentation of this rank's batch.

        Args:
            step: number of the step, from 0.

        Returns:
            ``batch`` non-negative numbers that fit int64.
        """
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
    # A step is at least 1 long and no share is larger than 1, so no item is drawn twice.
    marks = (generator.random() + np.arange(count)) * ends[-1] / count
    positions = np.searchsorted(ends, marks, side="right").clip(max=len(items) - 1)
    return np.asarray(order[positions])


@lru_cache(maxsize=16)
def _length(items: int | tuple[float, ...]) -> int:
    return items if isinstance(items, int) else max(1, int(sum(items) + _ROUNDING))


class FixedSampler(DistributedSampler[int]):
    """Sampler of given items, which are already those of this rank.

    The base class tells Lightning that the items are sharded. Otherwise Lightning would shard them a second
    time, and pad a validation set with repeated chips.

    Args:
        items: numbers of items, in order.
        length: result of ``len`` if ``items`` are the rest of a longer sequence; None for their number.
    """

    def __init__(self, items: Sequence[int], length: int | None = None) -> None:
        self.items = items
        self.length = len(items) if length is None else length
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        """Iterate over the items."""
        return iter(self.items)

    def __len__(self) -> int:
        """Number of items, those of completed steps included."""
        return self.length
