"""The training stream: everything that one optimisation step reads, by the step's number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from tsfal_geo.data.dataset import OrthoDataset
from tsfal_geo.data.samplers import FixedSampler, Stream


@dataclass(frozen=True)
class StreamPart:
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

    def __init__(self, parts: dict[str, StreamPart]) -> None:
        """Make steps of the named parts, such as ``labelled`` and ``unlabelled``."""
        self.parts = parts

    def __getitem__(self, step: int) -> dict[str, Any]:
        """Read the batch of ``step``: ``{"step": int, <part>: batch, …}``."""
        return {"step": step, **{name: part.batch(step) for name, part in self.parts.items()}}


class StepLoader(DataLoader[dict[str, Any]]):
    """Loads steps ``start`` to ``steps``; its state, kept in Lightning's checkpoints, is the next step.

    Its length is the whole training's, since Lightning counts on from a checkpoint's step.
    """

    def __init__(self, batches: StepBatches, start: int, steps: int, **loading: Any) -> None:
        """Load ``batches``; ``loading`` goes to the torch ``DataLoader`` (workers, pinned memory)."""
        self.steps = steps
        self.next_step = start
        self._order = FixedSampler(range(start, steps), length=steps)
        super().__init__(batches, batch_size=None, sampler=self._order, **loading)

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """Iterate over the steps that are left."""
        for item in super().__iter__():
            self.next_step = item["step"] + 1
            yield item

    def state_dict(self) -> dict[str, int]:
        """The step that comes next."""
        return {"step": self.next_step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on with the step that came next when the state was taken."""
        self.next_step = state["step"]
        self._order.items = range(self.next_step, self.steps)
