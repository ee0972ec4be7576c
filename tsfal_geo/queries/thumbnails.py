"""What a strategy learns from at the end of a round: small pictures of the chips, each read once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


class Thumbnails:
    """Pictures by position, made when first asked for; memory holds none of them."""

    def __init__(self, folder: Path, count: int, make: Callable[[int], Tensor]) -> None:
        """Keep them in ``folder``.

        Args:
            folder: of a file of ``count`` pictures in half precision.
            count: pictures.
            make: (channels, s, s) of a position; the same shape for all.
        """
        self._path = folder / "thumbnails.npy"
        self._made = np.zeros(count, bool)
        self._make = make
        self._file: np.memmap | None = None

    def __call__(self, positions: Sequence[int]) -> Tensor:
        """Pictures at the given positions, (n, channels, s, s) float32 on the CPU."""
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
