"""The Lightning data module: the training stream, the validation chips, partners for mixing."""

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
    """The chips of a dataset by number; a pixel that several chips hold has its label in the first alone."""

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

    The training loader gives one item a step::

        {"step": int, "labelled": batch, "unlabelled": batch, "held_out": batch}

    ``unlabelled`` and ``held_out`` are there only if they have chips. A batch is a collated dictionary of
    :class:`OrthoDataset`'s samples with ``index`` (B,), the chip's number in its part, and ``seed`` (B,), for
    its augmentation; labelled chips carry ``mask``, unlabelled ones ``manual`` if there is a reader for it.
    The stream depends on (seed, rank, world size, step) alone: training resumed at step k, by a checkpoint or
    by ``start=k``, sees what an uninterrupted training would. Loaders are already sharded by rank.

    Attributes:
        unlabelled: the dataset of unlabelled chips, or None.
        start: the first step that ``train_dataloader`` gives.
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
        """Put the parts together; nothing is read yet.

        Args:
            reader: the training scenes.
            labels: what supervises labelled and held-out chips.
            labelled_chips: chips whose labels train the segmenter.
            unlabelled_chips: chips for the semi-supervised losses.
            held_out_chips: labelled chips kept for the error mask decoder.
            shares: how often each labelled chip is read beside one that is read in every epoch, in (0, 1];
                None: all alike.
            manual: labels that people gave on unlabelled chips.
            val_reader: the validation scenes; None: the training scenes.
            val_labels: labels of the validation scenes.
            val_chips: validation chips; none: no validation.
            config: batch sizes, workers, accelerator.
            seed: of the stream; None: ``config.seed``.
            start: the first step.
            steps: number of steps in all, those before ``start`` included; None: ``config.steps``.

        Raises:
            LabelError: no labelled chip, or validation chips without labels.
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
        """One item a step from ``start`` on, or from where a checkpoint that Lightning restores was saved."""
        return StepLoader(StepBatches(self._parts()), self.start, self.steps, **self._loading())

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]] | list[Any]:
        """This rank's validation chips, each chip on one rank only."""
        if self.val is None:
            return []
        rank, world = self._rank_and_world()
        sampler = FixedSampler(range(rank, len(self.val.chips), world))
        return DataLoader(_ChipItems(self.val), batch_size=_VAL_BATCH, sampler=sampler, **self._loading())

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch; seeds stay on the CPU, where they are read: the device need not be waited for."""
        moved = super().transfer_batch_to_device(batch, device, dataloader_idx)
        for name, part in batch.items():
            if isinstance(part, dict) and "seed" in part:
                moved[name]["seed"] = part["seed"]
        return moved

    @property
    def sparse(self) -> bool:
        """Whether some labelled chips are labelled in part, and read by their shares."""
        return self.shares is not None

    def partner(self, index: int) -> dict[str, Tensor]:
        """Read an unlabelled chip for mixing, in the calling process; ``index`` as in the batches.

        Returns:
            A sample, with ``index``; not collated, not augmented.
        """
        assert self.unlabelled is not None, "partners are unlabelled chips"
        return {**self.unlabelled.read_chip(self.unlabelled.chips[index]), "index": torch.tensor(index)}

    def labelled_sample(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Draw a labelled chip for copy-paste, by its share; read as :meth:`partner` reads."""
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
        # On a CPU reading is about a hundredth of a step, and a worker would take a core from the network.
        if not self._on_gpu():
            return 0
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        local_ranks = self.trainer.num_devices if self.trainer is not None else 1
        return max(1, min(_MAX_WORKERS, cores // local_ranks - 1))

    def _on_gpu(self) -> bool:
        if self.trainer is not None:
            return self.trainer.strategy.root_device.type == "cuda"
        return self.config.accelerator != "cpu" and torch.cuda.is_available()
