"""Thumbnails of chips for strategies that learn at the end of a round, each chip read once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


class Thumbnails:
    """Cache of thumbnails in a file: each is made at its first use, and memory holds none of them."""

    def __init__(self, folder: Path, count: int, make: Callable[[int], Tensor]) -> None:
        """Create an empty cache.

        Args:
            folder: receives the file ``thumbnails.npy``, (count, channels, s, s) float16.
            count: number of chips.
            make: returns the thumbnail at a position, (channels, s, s) float; the same shape for all.
        """
        self._path = folder / "thumbnails.npy"
        self._made = np.zeros(count, bool)
        self._make = make
        self._file: np.memmap | None = None

    def __call__(self, positions: Sequence[int]) -> Tensor:
        """Return the thumbnails at n positions.

        Args:
            positions: of the chips; may repeat.

        Returns:
            (n, channels, s, s) float32 on the CPU, rounded to half precision.
        """
        return torch.stack([self._one(position) for position in positions])

    def _one(self, position: int) -> Tensor:
        if not self._made[position]:
            picture = self._make(position).cpu().numpy()
            if self._file is None:
                shape = (len(self._made), *picture.shape)
                self._file = np.lib.format.open_memmap(self._path, "w+", np.float16, shape)
            self._file[position] = picture
            self._made[position] = True
        assert self._file is not None
        return torch.from_numpy(self._file[position].astype(np.float32))
