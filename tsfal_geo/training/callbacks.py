"""Callbacks of a training: checkpoints and validations by step, the stop signal, progress events."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException

from tsfal_geo.atomic import replace_file
from tsfal_geo.errors import Cancelled
from tsfal_geo.training.module import SegmentationModule

RESUME_NAME = "resume.ckpt"
_PROGRESS_SECONDS = 0.5
Emit = Callable[[dict[str, Any]], None]
"""Receives one event of the protocol: a dict with the key ``event``."""


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoint writing that replaces the old file only when the new one is complete and on the disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a temporary file beside ``path``, fsync it and rename it.

        Args:
            checkpoint: the state that Lightning collected.
            path: of the checkpoint.
            storage_options: not used.
        """
        with replace_file(Path(path)) as temporary:
            torch.save(checkpoint, temporary)


class CheckpointCallback(Callback):
    """Validate and save checkpoints by the module's own step, and stop on request.

    A checkpoint is written before a step begins. The steps before it are then complete, their validation
    included, so that a resumed training continues from exactly the saved state.
    """

    def __init__(
        self, folder: Path, *, checkpoint_every: int, val_every: int, stopped: Callable[[], bool]
    ) -> None:
        """Save checkpoints in ``folder``.

        Args:
            folder: of this training.
            checkpoint_every: steps between checkpoints.
            val_every: steps between validations; the last step is always validated.
            stopped: returns True once training is to end.
        """
        self.folder = folder
        self.checkpoint_every = checkpoint_every
        self.val_every = val_every
        self.stopped = stopped
        self._saved_step = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Skip the checkpoint of the step that was just loaded."""
        self._saved_step = _segmentation_module(pl_module).steps_done

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Save and stop where due, and schedule the validation after this step.

        Raises:
            Cancelled: training was stopped; the checkpoint is saved.
        """
        module = _segmentation_module(pl_module)
        stop = self._agreed_stop(trainer)
        if stop or (module.steps_done % self.checkpoint_every == 0 and module.steps_done > self._saved_step):
            self._save(trainer, module)
        if stop:
            raise Cancelled(f"stopped after step {module.steps_done} of {module.total_steps}")
        after = module.steps_done + 1
        due = after % self.val_every == 0 or after == module.total_steps
        trainer.val_check_batch = 1 if due else float("inf")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the state after the last step."""
        self._save(trainer, _segmentation_module(pl_module))

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop between the batches of a validation too, because validations may be long.

        Raises:
            Cancelled: training was stopped; the checkpoint is saved.
        """
        if trainer.world_size == 1 and self.stopped():
            module = _segmentation_module(pl_module)
            if trainer.state.fn == "fit":
                self._save(trainer, module)
            raise Cancelled(f"stopped while validating after step {module.steps_done}")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Update the best mIoU of the training, which its checkpoints carry."""
        module = _segmentation_module(pl_module)
        miou, best = module.metrics.get("miou", math.nan), float(module.best_miou)
        # Written so that NaN, the value before the first validation, counts as lower than any mIoU.
        if not (math.isnan(miou) or miou <= best):
            module.best_miou.fill_(miou)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save on SIGTERM, for which Lightning raises between steps only: the state is complete there."""
        if isinstance(exception, SIGTERMException) and trainer.state.fn == "fit":
            self._save(trainer, _segmentation_module(pl_module))

    def _agreed_stop(self, trainer: Trainer) -> bool:
        """One answer for all processes, as they must stop before the same step."""
        stop = self.stopped()
        return stop if trainer.world_size == 1 else trainer.strategy.reduce_boolean_decision(stop, all=False)

    def _save(self, trainer: Trainer, module: SegmentationModule) -> None:
        module.check_loss()
        trainer.save_checkpoint(self.folder / RESUME_NAME)
        self._saved_step = module.steps_done


class Progress(Callback):
    """Emit progress events, at most two a second: reading the loss makes the CPU wait for the device."""

    def __init__(self, emit: Emit) -> None:
        """Emit ``{'event': 'progress', 'fraction', 'stage', 'step', 'steps', 'eta_s', 'note'}``.

        Args:
            emit: receives the events.
        """
        self.emit = emit
        self._begun = self._last_event = 0.0
        self._first_step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._begun, self._first_step = time.monotonic(), _segmentation_module(pl_module).steps_done

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Emit step, loss and remaining time."""
        module = _segmentation_module(pl_module)
        now, done = time.monotonic(), module.steps_done
        if now - self._last_event < _PROGRESS_SECONDS and done < module.total_steps:
            return
        self._last_event = now
        loss = float(outputs["loss"])
        if trainer.is_global_zero:
            left = (now - self._begun) / (done - self._first_step) * (module.total_steps - done)
            self._emit_progress(module, "training", loss, left)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Emit that a validation runs."""
        if trainer.is_global_zero:
            self._emit_progress(_segmentation_module(pl_module), "validating", None, None)

    def _emit_progress(
        self, module: SegmentationModule, stage: str, loss: float | None, left: float | None
    ) -> None:
        done, total = module.steps_done, module.total_steps
        event: dict[str, Any] = {"fraction": done / total, "stage": stage, "step": done, "steps": total}
        notes = [f"step {done}/{total}"]
        if loss is not None and left is not None:
            event |= {"loss": round(loss, 4), "eta_s": round(left, 1)}
            notes.append(f"loss {loss:.3f}")
        if (miou := module.metrics.get("miou")) is not None:
            event["miou"] = round(miou, 4)
            notes.append(f"mIoU {100 * miou:.1f} %")
        self.emit({"event": "progress", **event, "note": " · ".join(notes)})


def _segmentation_module(module: LightningModule) -> SegmentationModule:
    return cast(SegmentationModule, module)
