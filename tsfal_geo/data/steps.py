"""The training stream: everything that one optimisation step reads, by the step's number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Dataset, default_collate

from tsfal_geo.data.dataset import OrthoDataset
from tsfal_geo.data.samplers import Stream


@dataclass(frozen=True)
class Part:
    """One part of a step's batch: the chips of ``dataset`` in the order of ``stream``."""

    dataset: OrthoDataset
    stream: Stream

    def batch(self, step: int) -> dict[str, Any]:
        """The collated samples of ``step``, with ``index`` (B,), the chips' numbers, and ``seed`` (B,)."""
        indices, seeds = self.stream.indices(step), self.stream.seeds(step)
        samples = [self.dataset.read_chip(self.dataset.chips[index]) for index in indices]
        return {**default_collate(samples), "index": torch.tensor(indices), "seed": torch.tensor(seeds)}


class StepBatches(Dataset[dict[str, Any]]):
    """Item k is the whole batch of step k: the same whatever was read before, by whichever worker."""

    def __init__(self, parts: dict[str, Part]) -> None:
        """Make steps of the named parts, such as ``labelled`` and ``unlabelled``."""
        self.parts = parts

    def __getitem__(self, step: int) -> dict[str, Any]:
        """Read the batch of ``step``: ``{"step": int, <part>: batch, …}``."""
        return {"step": step, **{name: part.batch(step) for name, part in self.parts.items()}}
