"""The base of all training methods: optimisation, random numbers by step, validation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from lightning import LightningModule
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix

from tsfal_geo.classes import IGNORE
from tsfal_geo.errors import UserError
from tsfal_geo.models.segmenter import Segmenter, upsample
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.optimisers import build_optimiser, load_moments, parameter_groups

Losses = dict[str, Tensor]
"""Scalar losses by name; the optimisers minimise ``total``, the others are logged."""


class SegmentationModule(LightningModule):
    """A training method: a poly learning rate, random numbers by step, mIoU from one confusion matrix.

    A step depends on the state dict, the optimisers' state and (seed, step, rank) alone, so that a training
    that is stopped and resumed ends with the same weights as one that ran through.

    Attributes:
        uses_unlabelled: True if the losses need unlabelled batches.
        config: the configuration.
        normaliser: turns batches of pixels into network input.
        class_names: C names in index order.
        branch: augmentation and loss of the labelled chips.
        step: completed steps; a scalar int64 buffer.
        total_steps: steps of this training; see ``begin``.
        metrics: values of the latest validation by name.
        best_miou: the best validation mIoU so far, 0 to 1; a scalar float32 buffer, NaN before the first.
    """

    uses_unlabelled: ClassVar[bool] = True
    step: Tensor
    best_miou: Tensor

    def __init__(self, inputs: ModuleInputs) -> None:
        """Set up everything but the networks.

        Args:
            inputs: configuration, data and builders.
        """
        super().__init__()
        self.automatic_optimization = False
        self.config = inputs.config
        self.normaliser = inputs.normaliser
        self.class_names = tuple(inputs.class_names)
        self.branch = inputs.branch
        self.total_steps = inputs.config.train.steps
        self._schedule: tuple[int, int] | None = None
        self._moments: Path | None = None
        self.metrics: dict[str, float] = {}
        self.confusions = nn.ModuleDict()
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.register_buffer("best_miou", torch.tensor(float("nan")))
        self._step = 0
        self._loss: Tensor | None = None

    @property
    def predictor(self) -> Segmenter:
        """The network that makes the map; its weights are the model."""
        raise NotImplementedError

    def learners(self) -> dict[str, Segmenter]:
        """Return the networks that ``train.optimiser`` trains, by name."""
        raise NotImplementedError

    def evaluated(self) -> dict[str, nn.Module]:
        """Return the networks whose mIoU is logged, by name; the predictor comes first."""
        raise NotImplementedError

    def losses(self, batch: dict[str, Any], rng: np.random.Generator) -> Losses:
        """Compute the losses of one step.

        Args:
            batch: an item of the training stream, on its device.
            rng: the step's random numbers; PyTorch's generator is seeded for the step as well.
        """
        raise NotImplementedError

    def after_step(self) -> None:
        """Update what follows the optimisers, such as an EMA teacher; nothing by default."""

    def extra_groups(self) -> list[dict[str, Any]]:
        """Return further groups for ``train.optimiser``, each ``params`` and ``factor`` on the base rate."""
        return []

    def slow_groups(self) -> list[dict[str, Any]]:
        """Return parameter groups for AdamW at a constant rate; none by default."""
        return []

    @property
    def has_idle_parameters(self) -> bool:
        """True if some parameters have no gradient in some steps, so that DDP must search for them."""
        return False

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Build ``train.optimiser`` for the networks and AdamW for ``slow_groups``.

        They start with the moments of the checkpoint that ``continue_schedule`` named, if any.

        Raises:
            ConfigError: the configuration asks for layer-wise rates and the encoder is no vision transformer.
        """
        train = self.config.train
        groups: list[dict[str, Any]] = []
        for network in self.learners().values():
            groups += parameter_groups(network, train)
        optimisers = [build_optimiser([*groups, *self.extra_groups()], train)]
        if slow := self.slow_groups():
            optimisers.append(torch.optim.AdamW(slow))
        if self._moments is not None:
            states = torch.load(self._moments, map_location="cpu", weights_only=True)
            # One training may have an optimiser more than the other, for its slow groups.
            for optimiser, state in zip(optimisers, states["optimizer_states"], strict=False):
                load_moments(optimiser, state)
        return optimisers

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Do one step: set the rate, compute losses, back-propagate once, step all optimisers.

        Args:
            batch: an item of the training stream.
            batch_idx: not used; the module counts its own steps.

        Returns:
            The total loss, detached.

        Raises:
            UserError: the loss of the step before is NaN or infinite.
        """
        self.check_loss()
        rng = self._seed()
        listed = self.optimizers()
        optimisers = listed if isinstance(listed, list) else [listed]
        for group in optimisers[0].param_groups:
            group["lr"] = self.learning_rate() * group["factor"]
        losses = self.losses(batch, rng)
        for optimiser in optimisers:
            optimiser.zero_grad()
        self.manual_backward(losses["total"])
        for optimiser in optimisers:
            optimiser.step()
        self.after_step()
        self._step += 1
        self.step.fill_(self._step)
        self._log_losses(losses)
        self._loss = losses["total"].detach()
        return self._loss

    def check_loss(self) -> None:
        """Check that the last step's loss is finite, before the next step or a checkpoint uses its weights.

        Checking one step late lets the device work on while the CPU prepares the next batch.

        Raises:
            UserError: the loss is NaN or infinite.
        """
        if self._loss is not None and not math.isfinite(loss := float(self._loss)):
            raise UserError(
                f"the loss is {loss} at step {self._step}, expected a number; lower train.lr and train again"
            )

    def learning_rate(self) -> float:
        """Return the base rate of this step: lr · (1 − step / schedule steps)^power."""
        train = self.config.train
        return float(train.lr * (1 - self.progress) ** train.poly_power)

    def continue_schedule(self, schedule_steps: int, steps_before: int, earlier: Path | None = None) -> None:
        """Make this training a part of a longer schedule, as rounds of active learning are.

        The learning rate, the warm-up and the ramps of losses then follow the steps of the whole schedule.

        Args:
            schedule_steps: steps of the schedule, at least ``steps_before`` and this training's together.
            steps_before: steps of the schedule before this training.
            earlier: ``resume.ckpt`` of the part before, whose moments the optimisers start with; None: they
                start with zeros.
        """
        self._schedule = schedule_steps, steps_before
        self._moments = earlier

    @property
    def schedule_steps(self) -> int:
        """Steps of the schedule that this training is, or is a part of."""
        return self.total_steps if self._schedule is None else self._schedule[0]

    @property
    def steps_before(self) -> int:
        """Steps of the schedule before this training."""
        return 0 if self._schedule is None else self._schedule[1]

    @property
    def steps_done(self) -> int:
        """Completed steps, counted on the CPU: reading the buffer would wait for the device."""
        return self._step

    @property
    def progress(self) -> float:
        """Share of the schedule's steps that is done, 0 to 1."""
        return (self.steps_before + self._step) / self.schedule_steps

    def on_validation_model_train(self) -> None:
        """Return to train mode through ``train``.

        Lightning alone would restore the modules' flags, but networks override ``train``: it keeps teachers
        in eval mode, freezes batch norms and switches dilated blocks to phases.
        """
        self.train()

    def on_validation_epoch_start(self) -> None:
        """Create one confusion matrix a network; before the last step only the predictor is validated."""
        names = list(self.evaluated())
        if self._step < self.total_steps:
            names = names[:1]
        classes = len(self.class_names)
        self.confusions = nn.ModuleDict(
            {
                name: MulticlassConfusionMatrix(classes, ignore_index=IGNORE, validate_args=False)
                for name in names
            }
        ).to(self.device)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a batch of chips, without augmentation, to the confusion matrices."""
        images = self.prepared(self.normaliser(batch))
        mask = batch["mask"].long()
        networks = self.evaluated()
        for name, confusion in self.confusions.items():
            logits = networks[name](images).logits.float()
            fine = upsample(logits, Segmenter.LOGIT_STRIDE, (mask.shape[-2], mask.shape[-1]))
            cast(MulticlassConfusionMatrix, confusion).update(fine.argmax(dim=1), mask)

    def on_validation_epoch_end(self) -> None:
        """Compute each class's IoU and their mean over the classes that occur in truth or prediction."""
        self.metrics = {}
        for position, (name, confusion) in enumerate(self.confusions.items()):
            iou = intersection_over_union(cast(MulticlassConfusionMatrix, confusion).compute())
            self.metrics[f"miou_{name}"] = float(iou.nanmean())
            if position == 0:
                self.metrics["miou"] = float(iou.nanmean())
                values = zip(self.class_names, iou.tolist(), strict=True)
                self.metrics.update({f"iou_{label}": value for label, value in values if value == value})
        self.write_log({f"val/{name}": value for name, value in self.metrics.items()})
        self.metrics["step"] = float(self._step)

    def begin(self, total_steps: int) -> None:
        """Start a training from the weights that the networks have.

        Args:
            total_steps: steps of this training.
        """
        self.total_steps = total_steps
        self._step = 0
        self._loss = None
        self.step.zero_()
        self.best_miou.fill_(float("nan"))
        self.metrics = {}

    def prepared(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W) in the memory layout of the networks."""
        layout = torch.channels_last if self.config.train.channels_last else torch.contiguous_format
        return images.contiguous(memory_format=layout)

    def write_log(self, values: dict[str, float]) -> None:
        """Write values to the loggers at the current step."""
        for logger in self.loggers:
            logger.log_metrics(values, step=self._step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the metrics to a checkpoint and remove the counters of Lightning's loops.

        Lightning would resume in the middle of the old loader's epoch. Here ``step`` is the only counter, and
        the loader starts there, so that Lightning sees the remaining steps as one new epoch.
        """
        checkpoint.pop("loops", None)
        checkpoint["metrics"] = dict(self.metrics)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the metrics and the step."""
        self.metrics = dict(checkpoint.get("metrics", {}))
        self._step = int(checkpoint["state_dict"]["step"])

    def _seed(self) -> np.random.Generator:
        words = np.random.SeedSequence([self.config.train.seed, self._step, self.global_rank])
        torch.manual_seed(int(words.generate_state(1, np.uint64)[0] >> np.uint64(1)))
        return np.random.default_rng(words)

    def _log_losses(self, losses: Losses) -> None:
        interval = max(1, min(20, self.total_steps // 50))
        if self.loggers and (self._step % interval == 0 or self._step == self.total_steps):
            values = {f"loss/{name}": float(value.detach()) for name, value in losses.items()}
            self.write_log({**values, "lr": self.learning_rate()})


def intersection_over_union(confusion: Tensor) -> Tensor:
    """Compute the IoU of each class, TP / (TP + FP + FN).

    Args:
        confusion: (C, C) counts of pixels.

    Returns:
        (C,) float64; NaN where a class occurs neither in truth nor in prediction.
    """
    confusion = confusion.double()
    hits = confusion.diagonal()
    return hits / (confusion.sum(0) + confusion.sum(1) - hits)
