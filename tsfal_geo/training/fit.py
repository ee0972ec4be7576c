"""Runs a training under Lightning's Trainer: devices, precision, logs, resume, stop."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from safetensors.torch import load_file

from tsfal_geo.atomic import unsaved_work
from tsfal_geo.config import Config, TrainConfig
from tsfal_geo.data.module import TsfDataModule
from tsfal_geo.errors import Cancelled, WorkspaceError
from tsfal_geo.training.callbacks import (
    BEST_NAME,
    RESUME_NAME,
    AtomicCheckpoints,
    CheckpointCallback,
    Emit,
    Progress,
)
from tsfal_geo.training.devices import ProcessBridge, choose_precision, uses_gpu
from tsfal_geo.training.module import SegmentationModule

_VALIDATIONS = 10
_OPTIONAL = ("refiner.", "alignment.")  # where modules keep what others do not have
_PRIOR = "alignment.prior"


@dataclass(frozen=True)
class FitResult:
    """What a training came to. The module holds the last weights, which are the ones to go on with.

    Attributes:
        steps: steps done in all.
        resumed_from: the step that this call began at.
        seconds: wall time of this call.
        precision: Lightning's name of the arithmetic.
        metrics: of the last validation: ``miou`` (the predictor's), ``iou_<class>``, ``miou_<network>``,
            ``step``; empty without validation chips.
        miou: the predictor's mIoU at the end, 0 to 1; None without validation chips.
        best_miou: the highest of all validations; None without validation chips.
        best_weights: the predictor's weights at ``best_miou``; None without validation chips.
    """

    steps: int
    resumed_from: int
    seconds: float
    precision: str
    metrics: dict[str, float] = field(default_factory=dict)
    miou: float | None = None
    best_miou: float | None = None
    best_weights: Path | None = None


def fit(
    module: SegmentationModule,
    datamodule: TsfDataModule,
    *,
    folder: Path,
    steps: int,
    config: Config,
    on_event: Emit | None = None,
    stop: threading.Event | None = None,
) -> FitResult:
    """Train to ``steps`` steps, from ``folder/resume.ckpt`` if it is there, else from the module's weights.

    Args:
        module: what is trained; it holds the end state afterwards.
        datamodule: the training stream and validation chips.
        folder: of this training: ``resume.ckpt``, ``best.safetensors``, ``logs/``.
        steps: length of the whole training.
        config: the whole configuration.
        on_event: is told of progress and what to log.
        stop: when set, training ends after the step with a checkpoint.

    Raises:
        Cancelled: it was stopped; calling again goes on.
        WorkspaceError: the checkpoint is damaged or of another network.
        UserError: the loss is no longer a number.
    """
    begun = time.monotonic()
    stop = stop or threading.Event()
    tell: Emit = on_event or (lambda event: None)
    folder.mkdir(parents=True, exist_ok=True)
    resume = folder / RESUME_NAME
    start = int(_read(resume)["state_dict"]["step"]) if resume.exists() else 0
    precision, reason = choose_precision(config.train)
    tell({"event": "log", "message": f"precision {precision}: {reason}"})
    module.begin(steps)
    module.train()
    if config.train.channels_last:
        module.to(memory_format=torch.channels_last)
    datamodule.start, datamodule.steps = start, steps
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        emit, stopped = tell, stop.is_set
        strategy = choose_strategy(config.train, module)
        if "spawn" in strategy:
            relay = stack.enter_context(ProcessBridge(tell, stop))
            emit, stopped = relay.emit, relay.stopped
        val_every = config.train.val_every or max(1, math.ceil(steps / _VALIDATIONS))
        keeper = CheckpointCallback(
            folder, checkpoint_every=config.train.checkpoint_every, val_every=val_every, stopped=stopped
        )
        trainer = Trainer(
            precision=precision,  # type: ignore[arg-type]
            strategy=strategy,
            callbacks=[keeper, Progress(emit)],
            limit_val_batches=0 if datamodule.val is None else None,
            **_surroundings(config.train, folder, start),
        )
        if start < steps:
            _run(trainer, module, datamodule, resume if resume.exists() else None, stop)
        _load(module, resume)
        if datamodule.val is not None and module.metrics.get("step") != steps:
            trainer.validate(module, datamodule, verbose=False)
    return _result(module, folder, steps, start, time.monotonic() - begun, precision)


def warm_start(module: SegmentationModule, checkpoint: Path) -> None:
    """Take the weights and banks of an earlier round's ``resume.ckpt``, not its step or optimisers.

    The presence bank starts anew if the number of unlabelled chips has changed, as its columns are chips. A
    refiner that the earlier round did not have starts untrained; one that is no longer wanted is left out.
    The alignment goes by the labels that there are now.

    Raises:
        WorkspaceError: the checkpoint is damaged or of another network.
    """
    state = _read(checkpoint)["state_dict"]
    own = module.state_dict()
    for name in [n for n in state if n.endswith("presence.present") and state[n].shape != own[n].shape]:
        state[name] = own[name]
    kept = {name: value for name, value in state.items() if not name.startswith(_OPTIONAL)}
    wanted = {name: state.get(name, value) for name, value in own.items() if name.startswith(_OPTIONAL)}
    prior = {name: value for name, value in own.items() if name == _PRIOR}
    _fill(module, {**kept, **wanted, **prior}, checkpoint)
    module.begin(module.total_steps)


def load_best(module: SegmentationModule, result: FitResult) -> None:
    """Give the predictor the weights that were best on the validation chips; nothing without them."""
    if result.best_weights is not None:
        module.predictor.load_state_dict(load_file(result.best_weights))


def choose_strategy(config: TrainConfig, module: SegmentationModule) -> str:
    """Lightning's strategy: one process a device, spawned here unless a launcher already started them."""
    gpus = torch.cuda.device_count() if uses_gpu(config) else 1
    devices = gpus if config.devices == "auto" else config.devices
    name = config.strategy
    if name == "auto":
        if devices * config.num_nodes == 1:
            return "auto"
        name = "ddp" if {"LOCAL_RANK", "SLURM_PROCID"} & os.environ.keys() else "ddp_spawn"
    if name in ("ddp", "ddp_spawn") and module.has_idle_parameters:
        return f"{name}_find_unused_parameters_true"
    return name


def _surroundings(config: TrainConfig, folder: Path, start: int) -> dict[str, Any]:
    """The Trainer's arguments that do not depend on the networks."""
    gpu = uses_gpu(config)
    logs = folder / "logs"
    return {
        "accelerator": config.accelerator,
        "devices": config.devices,
        "num_nodes": config.num_nodes,
        "max_epochs": 1,
        "benchmark": gpu,
        "sync_batchnorm": gpu and (config.devices == "auto" or config.devices * config.num_nodes > 1),
        "logger": [
            CSVLogger(logs, name="", version=f"from-{start:06d}"),
            TensorBoardLogger(logs, name="", version="tensorboard", purge_step=start),
        ],
        "plugins": [AtomicCheckpoints()],
        "default_root_dir": folder,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "log_every_n_steps": 1,
    }


def _run(
    trainer: Trainer,
    module: SegmentationModule,
    datamodule: TsfDataModule,
    resume: Path | None,
    stop: threading.Event,
) -> None:
    try:
        with unsaved_work:
            trainer.fit(module, datamodule, ckpt_path=resume, weights_only=True)
    except SystemExit as error:  # Lightning's answer to SIGTERM and SIGINT where nobody else handles them
        raise Cancelled(f"stopped after step {module.steps_done} of {module.total_steps}") from error
    except torch.multiprocessing.ProcessRaisedException as error:
        if stop.is_set():
            raise Cancelled("stopped") from error
        raise
    except RuntimeError as error:
        if "Error(s) in loading state_dict" in str(error):
            raise WorkspaceError(f"{resume}: {_UNFIT}") from None
        raise


_UNFIT = "belongs to another network or class map; start over with `train --fresh`"


def _load(module: SegmentationModule, checkpoint: Path) -> None:
    """Weights, step and metrics of a checkpoint: what spawned processes left, or an earlier call."""
    content = _read(checkpoint)
    _fill(module, content["state_dict"], checkpoint)
    module.on_load_checkpoint(content)


def _fill(module: SegmentationModule, state: dict[str, Any], path: Path) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError:
        raise WorkspaceError(f"{path}: {_UNFIT}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        content["state_dict"]["step"]
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise WorkspaceError(f"{path}: damaged ({reason}); start over with `train --fresh`") from error
    return content


def _result(
    module: SegmentationModule, folder: Path, steps: int, start: int, seconds: float, precision: str
) -> FitResult:
    best = float(module.best_miou)
    chosen = folder / BEST_NAME
    return FitResult(
        steps=steps,
        resumed_from=start,
        seconds=seconds,
        precision=precision,
        metrics=dict(module.metrics),
        miou=module.metrics.get("miou"),
        best_miou=None if math.isnan(best) else best,
        best_weights=chosen if not math.isnan(best) and chosen.exists() else None,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's banners and hints, which tell the people who use us nothing."""
    loggers = [logging.getLogger(name) for name in ("lightning", "lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            warnings.filterwarnings("ignore", module=r"torchmetrics\..*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
