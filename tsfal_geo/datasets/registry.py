"""Registry of the dataset adapters."""

from __future__ import annotations

from tsfal_geo.datasets import camvid, cityscapes, folder, vaihingen
from tsfal_geo.datasets.adapter import Adapter

_ADAPTERS: tuple[Adapter, ...] = (
    vaihingen.ADAPTER,
    cityscapes.ADAPTER,
    camvid.ADAPTER,
    folder.ADAPTER,
)  # fmt: skip
DATASETS: dict[str, Adapter] = {adapter.name: adapter for adapter in _ADAPTERS}
"""Name → adapter, in the order of `tsfal-geo datasets list`."""
