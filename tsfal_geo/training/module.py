"""What every way to train has in common: optimisation, randomness by step, validation."""

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
"""Losses by name; ``total`` is the one that is minimised, the others are only logged."""


class SegmentationModule(LightningModule):
    """A poly learning rate, seeds by step, and mIoU from one global confusion matrix.

    A step depends on the state dict, the optimisers' state and (seed, step, rank), on nothing else: training
    that is stopped and resumed gives the same weights as training that was not.

    Attributes:
        uses_unlabelled: whether its losses ask for unlabelled batches.
        branch: the labelled chips' views and loss.
        step: steps done, a buffer.
        total_steps: length of the learning rate's descent; see ``begin``.
        metrics: the newest validation's values, by name.
        best_miou: the best validation mIoU so far, a buffer; NaN before the first.
    """

    uses_unlabelled: ClassVar[bool] = True
    step: Tensor
    best_miou: Tensor

    def __init__(self, inputs: ModuleInputs) -> None:
        """Set up what is common."""
        super().__init__()
        self.automatic_optimization = False
        self.config = inputs.config
        self.normaliser = inputs.normaliser
        self.class_names = tuple(inputs.class_names)
        self.branch = inputs.branch
        self.total_steps = inputs.config.train.steps
        self._descent: tuple[int, int] | None = None
        self._earlier: Path | None = None
        self.metrics: dict[str, float] = {}
        self.confusions = nn.ModuleDict()
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.register_buffer("best_miou", torch.tensor(float("nan")))
        self._step = 0
        self._loss: Tensor | None = None

    @property
    def predictor(self) -> Segmenter:
        """The network that makes the map."""
        raise NotImplementedError

    def learners(self) -> dict[str, Segmenter]:
        """The networks that learn at the poly rate, by name."""
        raise NotImplementedError

    def evaluated(self) -> dict[str, nn.Module]:
        """The networks whose mIoU is logged, by name; the predictor comes first."""
        raise NotImplementedError

    def losses(self, batch: dict[str, Any], rng: np.random.Generator) -> Losses:
        """The losses of one step.

        Args:
            batch: an item of the training stream, on its device.
            rng: the step's random numbers; PyTorch's are seeded as well.
        """
        raise NotImplementedError

    def after_step(self) -> None:
        """What follows the optimisers' step, such as the EMA update."""

    def extra_groups(self) -> list[dict[str, Any]]:
        """Parameter groups for SGD besides the learners', ``params`` and ``factor`` on the rate each."""
        return []

    def slow_groups(self) -> list[dict[str, Any]]:
        """Parameter groups for AdamW at a constant rate; none by default."""
        return []

    @property
    def has_idle_parameters(self) -> bool:
        """Whether some parameters get no gradient in some steps (DDP has to look for them then)."""
        return False

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """``train.optimiser`` on the networks, AdamW on ``slow_groups``.

        Raises:
            ConfigError: layer-wise rates for an encoder that has none.
        """
        train = self.config.train
        groups: list[dict[str, Any]] = []
        for network in self.learners().values():
            groups += parameter_groups(network, train)
        optimisers = [build_optimiser([*groups, *self.extra_groups()], train)]
        if slow := self.slow_groups():
            optimisers.append(torch.optim.AdamW(slow))
        if self._earlier is not None:
            states = torch.load(self._earlier, map_location="cpu", weights_only=True)
            # There is one fewer where one of the two trainings has no slow groups.
            for optimiser, state in zip(optimisers, states["optimizer_states"], strict=False):
                load_moments(optimiser, state)
        return optimisers

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """One step: rate, losses, one backward pass, all optimisers, what follows.

        Returns:
            The total loss, detached.
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
        """Look at the last step's loss, before the next step uses or a checkpoint keeps what it made.

        Raises:
            UserError: it is NaN or infinite.
        """
        if self._loss is not None and not math.isfinite(loss := float(self._loss)):
            raise UserError(
                f"the loss is {loss} at step {self._step}, expected a number; lower train.lr and train again"
            )

    def learning_rate(self) -> float:
        """The base rate of this step: lr · (1 - step / total)^power, counted over the whole descent."""
        train = self.config.train
        return train.lr * (1 - self.progress) ** train.poly_power

    def continue_schedule(self, schedule_steps: int, steps_before: int, earlier: Path | None = None) -> None:
        """Train as a part of a longer descent of the rate, such as a round among rounds.

        Warm-up and ramps go by the whole descent too.

        Args:
            schedule_steps: of the descent, at least those before and this training's.
            steps_before: steps of it that came before this training.
            earlier: ``resume.ckpt`` of the part before, with whose moments the optimisers begin; None: they
                begin anew.
        """
        self._descent = schedule_steps, steps_before
        self._earlier = earlier

    @property
    def schedule_steps(self) -> int:
        """Steps of the descent that this training is, or is a part of."""
        return self.total_steps if self._descent is None else self._descent[0]

    @property
    def steps_before(self) -> int:
        """Steps of the descent before this training."""
        return 0 if self._descent is None else self._descent[1]

    @property
    def steps_done(self) -> int:
        """``step`` as an int, without asking the device."""
        return self._step

    @property
    def progress(self) -> float:
        """Share of the descent's steps that is done, 0 to 1."""
        return (self.steps_before + self._step) / self.schedule_steps

    def on_validation_model_train(self) -> None:
        """Go back to train mode by ``train``, on which networks hang more than a flag.

        Lightning itself would only set the modules' ``training`` back.
        """
        self.train()

    def on_validation_epoch_start(self) -> None:
        """Make a fresh confusion matrix a network; student and friend are only looked at in the end."""
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
        """Count a batch of whole chips, without augmentation."""
        images = self.prepared(self.normaliser(batch))
        mask = batch["mask"].long()
        networks = self.evaluated()
        for name, confusion in self.confusions.items():
            logits = networks[name](images).logits.float()
            fine = upsample(logits, Segmenter.LOGIT_STRIDE, (mask.shape[-2], mask.shape[-1]))
            cast(MulticlassConfusionMatrix, confusion).update(fine.argmax(dim=1), mask)

    def on_validation_epoch_end(self) -> None:
        """IoU of each class and their mean over the classes that occur in truth or prediction."""
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
        """Start a training of ``total_steps`` steps from the weights that the networks have."""
        self.total_steps = total_steps
        self._step = 0
        self._loss = None
        self.step.zero_()
        self.best_miou.fill_(float("nan"))
        self.metrics = {}

    def prepared(self, images: Tensor) -> Tensor:
        """Images in the memory layout that the networks have."""
        layout = torch.channels_last if self.config.train.channels_last else torch.contiguous_format
        return images.contiguous(memory_format=layout)

    def write_log(self, values: dict[str, float]) -> None:
        """Write values to the loggers at the current step."""
        for logger in self.loggers:
            logger.log_metrics(values, step=self._step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the metrics, and leave out the loops' counters.

        Lightning's own resume counts batches of the loader it had; here ``step`` alone says where training
        stands and the loader begins there, so that Lightning takes the rest as one fresh epoch.
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
        every = max(1, min(20, self.total_steps // 50))
        if self.loggers and (self._step % every == 0 or self._step == self.total_steps):
            values = {f"loss/{name}": float(value.detach()) for name, value in losses.items()}
            self.write_log({**values, "lr": self.learning_rate()})


def intersection_over_union(confusion: Tensor) -> Tensor:
    """IoU of each class, TP / (TP + FP + FN); NaN where a class occurs neither in truth nor in prediction.

    Args:
        confusion: (C, C) counts.

    Returns:
        (C,) float64.
    """
    confusion = confusion.double()
    hits = confusion.diagonal()
    return hits / (confusion.sum(0) + confusion.sum(1) - hits)
