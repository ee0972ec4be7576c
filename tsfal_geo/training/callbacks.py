"""What accompanies a training: checkpoints, validation by step, the stop signal, progress."""

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
from safetensors.torch import save_file

from tsfal_geo.atomic import replace_file
from tsfal_geo.errors import Cancelled
from tsfal_geo.training.module import SegmentationModule

RESUME_NAME = "resume.ckpt"
BEST_NAME = "best.safetensors"
_PROGRESS_SECONDS = 0.5
Emit = Callable[[dict[str, Any]], None]


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints that appear whole or not at all; the old one stays until the new one is on the disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write beside, fsync, rename."""
        with replace_file(Path(path)) as temporary:
            torch.save(checkpoint, temporary)


class CheckpointCallback(Callback):
    """Validates and checkpoints by the module's own step, and stops when asked.

    Checkpoints are written before a step begins: then everything of the steps before, their validation
    included, is done, and what is loaded is what was left.
    """

    def __init__(
        self, folder: Path, *, checkpoint_every: int, val_every: int, stopped: Callable[[], bool]
    ) -> None:
        """Keep in ``folder``.

        Args:
            folder: of this training.
            checkpoint_every: steps between resume checkpoints.
            val_every: steps between validations; there is always one after the last step.
            stopped: whether training shall end.
        """
        self.folder = folder
        self.checkpoint_every = checkpoint_every
        self.val_every = val_every
        self.stopped = stopped
        self._saved = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What was just loaded need not be saved."""
        self._saved = _own(pl_module).steps_done

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Save and stop where due; say whether this step is followed by a validation."""
        module = _own(pl_module)
        stop = self._agreed_stop(trainer)
        if stop or (module.steps_done % self.checkpoint_every == 0 and module.steps_done > self._saved):
            self._save(trainer, module)
        if stop:
            raise Cancelled(f"stopped after step {module.steps_done} of {module.total_steps}")
        after = module.steps_done + 1
        due = after % self.val_every == 0 or after == module.total_steps
        trainer.val_check_batch = 1 if due else float("inf")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the end state."""
        self._save(trainer, _own(pl_module))

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """A validation may be long: it is given up when training shall end."""
        if trainer.world_size == 1 and self.stopped():
            module = _own(pl_module)
            if trainer.state.fn == "fit":
                self._save(trainer, module)
            raise Cancelled(f"stopped while validating after step {module.steps_done}")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the predictor's weights if they are the best so far."""
        module = _own(pl_module)
        miou, best = module.metrics.get("miou", math.nan), float(module.best_miou)
        if math.isnan(miou) or miou <= best:
            return
        module.best_miou.fill_(miou)
        if trainer.is_global_zero:
            weights = {k: v.cpu().contiguous() for k, v in module.predictor.state_dict().items()}
            with replace_file(self.folder / BEST_NAME) as temporary:
                save_file(weights, temporary)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Lightning raises for SIGTERM between steps only, where the state is whole."""
        if isinstance(exception, SIGTERMException) and trainer.state.fn == "fit":
            self._save(trainer, _own(pl_module))

    def _agreed_stop(self, trainer: Trainer) -> bool:
        stop = self.stopped()
        return stop if trainer.world_size == 1 else trainer.strategy.reduce_boolean_decision(stop, all=False)

    def _save(self, trainer: Trainer, module: SegmentationModule) -> None:
        module.check_loss()
        trainer.save_checkpoint(self.folder / RESUME_NAME)
        self._saved = module.steps_done


class Progress(Callback):
    """Tells how far training is, at most twice a second, so that the device is seldom waited for."""

    def __init__(self, emit: Emit) -> None:
        """Tell ``emit``: ``{'event': 'progress', 'fraction', 'stage', 'step', 'steps', 'eta_s', 'note'}``."""
        self.emit = emit
        self._begun = self._told = 0.0
        self._first = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._begun, self._first = time.monotonic(), _own(pl_module).steps_done

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tell the step, the loss and the time left."""
        module = _own(pl_module)
        now, done = time.monotonic(), module.steps_done
        if now - self._told < _PROGRESS_SECONDS and done < module.total_steps:
            return
        self._told = now
        loss = float(outputs["loss"])
        if trainer.is_global_zero:
            left = (now - self._begun) / (done - self._first) * (module.total_steps - done)
            self._tell(module, "training", loss, left)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say that a validation runs."""
        if trainer.is_global_zero:
            self._tell(_own(pl_module), "validating", None, None)

    def _tell(self, module: SegmentationModule, stage: str, loss: float | None, left: float | None) -> None:
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


def _own(module: LightningModule) -> SegmentationModule:
    return cast(SegmentationModule, module)
