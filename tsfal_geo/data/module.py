"""The Lightning data module: training stream, validation chips, partners for mixing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from tsfal_geo.classes import IGNORE
from tsfal_geo.config import TrainConfig
from tsfal_geo.data.dataset import OrthoDataset
from tsfal_geo.data.samplers import FixedSampler, Stream
from tsfal_geo.data.steps import StepBatches, StepLoader, StreamPart
from tsfal_geo.errors import LabelError
from tsfal_geo.raster.chips import Chip, owned_part
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.raster.reader import SceneReader

_MAX_WORKERS = 8
_VAL_BATCH = 4


class _ChipItems(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Chips of a dataset by number; only the first chip that holds a pixel has its label."""

    def __init__(self, dataset: OrthoDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        chip = self.dataset.chips[index]
        scene = self.dataset.scenes[chip.scene]
        sample = self.dataset.read_chip(chip)
        own = owned_part(chip, scene.height, scene.width)
        mask = torch.full_like(sample["mask"], IGNORE)
        mask[own] = sample["mask"][own]
        return {**sample, "mask": mask}


class TsfDataModule(LightningDataModule):
    """Labelled and unlabelled chips for training, grid chips for validation.

    The training loader gives one item for each step::

        {"step": int, "labelled": batch, "unlabelled": batch, "held_out": batch}

    Parts without chips are missing from it. A batch holds collated samples of `OrthoDataset`, with ``index``
    (B,), the number of the chip in its part, and ``seed`` (B,), for its augmentation. Labelled chips carry
    ``mask``; unlabelled chips carry ``manual`` if there is a reader for it.

    The stream depends on (seed, rank, world size, step) alone: a training that resumes at step k, from a
    checkpoint or by ``start=k``, reads the same batches as an uninterrupted one. Loaders are already sharded
    by rank.

    Attributes:
        labelled: dataset of the labelled chips.
        unlabelled: dataset of the unlabelled chips, or None.
        held_out: dataset of the labelled chips that are held out for the error mask decoder, or None.
        val: dataset of the validation chips, or None.
        shares: share of the epochs that each labelled chip is in; None if every chip is in every epoch.
        config: batch sizes, workers, accelerator.
        seed: of the stream.
        start: the first step that ``train_dataloader`` gives.
        steps: number of steps, those before ``start`` included.
    """

    def __init__(
        self,
        reader: SceneReader,
        labels: LabelReader,
        labelled_chips: Sequence[Chip],
        unlabelled_chips: Sequence[Chip] = (),
        held_out_chips: Sequence[Chip] = (),
        *,
        shares: Sequence[float] | None = None,
        manual: LabelReader | None = None,
        val_reader: SceneReader | None = None,
        val_labels: LabelReader | None = None,
        val_chips: Sequence[Chip] = (),
        config: TrainConfig,
        seed: int | None = None,
        start: int = 0,
        steps: int | None = None,
    ) -> None:
        """Assemble the datasets; no pixel is read.

        Args:
            reader: reads the training scenes.
            labels: reads the labels of the labelled and the held-out chips.
            labelled_chips: chips whose labels train the segmenter.
            unlabelled_chips: chips for the semi-supervised losses.
            held_out_chips: labelled chips that train the error mask decoder alone.
            shares: share of the epochs that each labelled chip is in, in (0, 1]; None for all epochs.
            manual: reads annotators' labels on unlabelled chips.
            val_reader: reads the validation scenes; None for the training scenes.
            val_labels: reads the labels of the validation scenes.
            val_chips: validation chips; none for no validation.
            config: batch sizes, workers, accelerator.
            seed: of the stream; None for ``config.seed``.
            start: the first step.
            steps: number of steps, those before ``start`` included; None for ``config.steps``.

        Raises:
            LabelError: there is no labelled chip, or validation chips have no labels.
        """
        super().__init__()
        if not labelled_chips:
            raise LabelError(
                "found no labelled chip to train on, expected at least one; add labels or raise --labelled"
            )
        if val_chips and val_labels is None:
            raise LabelError("found validation chips without labels; give labels for the validation scenes")
        self.shares = None if shares is None else tuple(shares)
        self.config = config
        self.seed = config.seed if seed is None else seed
        self.start = start
        self.steps = config.steps if steps is None else steps
        self.labelled = OrthoDataset(reader, labels, labelled_chips)
        self.unlabelled = (
            OrthoDataset(reader, manual, unlabelled_chips, label_key="manual") if unlabelled_chips else None
        )
        self.held_out = OrthoDataset(reader, labels, held_out_chips) if held_out_chips else None
        self.val = OrthoDataset(val_reader or reader, val_labels, val_chips) if val_chips else None

    def train_dataloader(self) -> StepLoader:
        """Make the loader of the steps from ``start`` on, or from the step of a checkpoint."""
        return StepLoader(StepBatches(self._parts()), self.start, self.steps, **self._loading())

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]] | list[Any]:
        """Make the loader of this rank's validation chips; each chip is on one rank."""
        if self.val is None:
            return []
        rank, world = self._rank_and_world()
        sampler = FixedSampler(range(rank, len(self.val.chips), world))
        return DataLoader(_ChipItems(self.val), batch_size=_VAL_BATCH, sampler=sampler, **self._loading())

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch to the device, but leave seeds on the CPU, where code reads them without waiting.

        Args:
            batch: an item of a loader.
            device: the target.
            dataloader_idx: number of the loader.

        Returns:
            The batch on the device.
        """
        moved = super().transfer_batch_to_device(batch, device, dataloader_idx)
        for name, part in batch.items():
            if isinstance(part, dict) and "seed" in part:
                moved[name]["seed"] = part["seed"]
        return moved

    @property
    def sparse(self) -> bool:
        """True if some chips are labelled in part, and read by their shares."""
        return self.shares is not None

    def partner(self, index: int) -> dict[str, Tensor]:
        """Read an unlabelled chip for mixing, in the calling process.

        Args:
            index: number of the chip, as in the batches.

        Returns:
            A sample with ``index``; neither collated nor augmented.
        """
        assert self.unlabelled is not None, "partners are unlabelled chips"
        return {**self.unlabelled.read_chip(self.unlabelled.chips[index]), "index": torch.tensor(index)}

    def labelled_sample(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Draw a labelled chip for copy-paste, with odds in proportion to the shares.

        Args:
            rng: source of the random numbers.

        Returns:
            A sample with ``index``; neither collated nor augmented.
        """
        odds = None if self.shares is None else np.array(self.shares) / sum(self.shares)
        index = int(rng.choice(len(self.labelled.chips), p=odds))
        return {**self.labelled.read_chip(self.labelled.chips[index]), "index": torch.tensor(index)}

    def _parts(self) -> dict[str, StreamPart]:
        datasets = {
            "labelled": (self.labelled, self.config.batch_labelled),
            "unlabelled": (self.unlabelled, self.config.batch_unlabelled),
            "held_out": (self.held_out, self.config.batch_labelled),
        }
        return {
            name: StreamPart(dataset, self._stream(name, len(dataset.chips), batch))
            for name, (dataset, batch) in datasets.items()
            if dataset is not None
        }

    def _stream(self, name: str, count: int, batch: int) -> Stream:
        shares = self.shares if name == "labelled" else None
        return Stream(name, count, batch, self.seed, *self._rank_and_world(), shares)

    def _rank_and_world(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def _loading(self) -> dict[str, Any]:
        workers = self.config.num_workers
        if workers is None:
            workers = self._auto_workers()
        return {"num_workers": workers, "persistent_workers": workers > 0, "pin_memory": self._on_gpu()}

    def _auto_workers(self) -> int:
        # On a CPU, reading takes about a hundredth of a step, and a worker would use a core of the network's.
        if not self._on_gpu():
            return 0
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        local_ranks = self.trainer.num_devices if self.trainer is not None else 1
        return max(1, min(_MAX_WORKERS, cores // local_ranks - 1))

    def _on_gpu(self) -> bool:
        if self.trainer is not None:
            return self.trainer.strategy.root_device.type == "cuda"
        return self.config.accelerator != "cpu" and torch.cuda.is_available()
