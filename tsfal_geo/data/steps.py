"""The training stream: the batches of an optimisation step, by the number of the step."""

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
    """One part of the training stream, such as the labelled chips.

    Attributes:
        dataset: reads the chips.
        stream: the order of the chips.
    """

    dataset: OrthoDataset
    stream: Stream

    def batch(self, step: int) -> dict[str, Any]:
        """Read the batch of a step.

        Args:
            step: number of the step, from 0.

        Returns:
            Collated samples, with ``index`` (B,) int64, the numbers of the chips, and ``seed`` (B,) int64.
        """
        indices, seeds = self.stream.indices(step), self.stream.seeds(step)
        samples = [self.dataset.read_chip(self.dataset.chips[index]) for index in indices]
        return {**default_collate(samples), "index": torch.tensor(indices), "seed": torch.tensor(seeds)}


class StepBatches(Dataset[dict[str, Any]]):
    """Steps by number: item k holds all batches of step k, whichever worker reads it after whichever item.

    Args:
        parts: parts of the stream by name, such as ``labelled`` and ``unlabelled``.
    """

    def __init__(self, parts: dict[str, StreamPart]) -> None:
        self.parts = parts

    def __getitem__(self, step: int) -> dict[str, Any]:
        """Read the batches of a step.

        Args:
            step: number of the step.

        Returns:
            ``{"step": step, <part>: batch, …}``.
        """
        return {"step": step, **{name: part.batch(step) for name, part in self.parts.items()}}


class StepLoader(DataLoader[dict[str, Any]]):
    """Loader of the steps from ``start`` on; Lightning's checkpoints keep the next step as its state.

    Its length is that of the full training, since Lightning counts on from the step of a checkpoint.

    Args:
        batches: steps by number.
        start: the first step to load.
        steps: number of steps of the training, those before ``start`` included.
        loading: arguments of torch's ``DataLoader``, such as workers and pinned memory.

    Attributes:
        steps: number of steps of the training.
        next_step: the step after the last one that the loader gave.
    """

    def __init__(self, batches: StepBatches, start: int, steps: int, **loading: Any) -> None:
        self.steps = steps
        self.next_step = start
        self._order = FixedSampler(range(start, steps), length=steps)
        super().__init__(batches, batch_size=None, sampler=self._order, **loading)

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """Iterate over the remaining steps."""
        for item in super().__iter__():
            self.next_step = item["step"] + 1
            yield item

    def state_dict(self) -> dict[str, int]:
        """Give the number of the next step, for a checkpoint."""
        return {"step": self.next_step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue with the step of a checkpoint.

        Args:
            state: as `state_dict` gave it.
        """
        self.next_step = state["step"]
        self._order.items = range(self.next_step, self.steps)
