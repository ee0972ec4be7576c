"""The datasets that there are adapters for."""

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
"""By name, in the order in which `tsfal-geo datasets list` shows them."""
