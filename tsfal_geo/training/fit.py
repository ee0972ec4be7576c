"""Run a training under Lightning's Trainer: devices, precision, logs, resumption and stopping."""

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
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch.multiprocessing.spawn import ProcessRaisedException

from tsfal_geo.atomic import unsaved_work
from tsfal_geo.config import TrainConfig
from tsfal_geo.data.module import TsfDataModule
from tsfal_geo.errors import Cancelled, WorkspaceError
from tsfal_geo.training.callbacks import RESUME_NAME, AtomicCheckpoints, CheckpointCallback, Emit, Progress
from tsfal_geo.training.devices import ProcessBridge, choose_precision, uses_gpu
from tsfal_geo.training.module import SegmentationModule

_VALIDATIONS = 10
# Prefixes of what one training keeps in its checkpoint and the next may lack.
_OPTIONAL = ("refiner.", "alignment.")
_PRIOR = "alignment.prior"
_UNFIT = "belongs to another network or class map; start over with `train --fresh`"
_tensorboard_noted = threading.Event()


@dataclass(frozen=True)
class FitResult:
    """The figures of a training; its last weights, which the next round continues from, are in the module.

    Attributes:
        steps: optimisation steps in all, those before a resumption included.
        resumed_from: the step that this call began at; 0 for a new training.
        seconds: wall time of this call.
        precision: Lightning's name of the arithmetic, such as ``bf16-mixed``.
        metrics: values of the last validation by name: ``miou`` (of the network that makes the map),
            ``iou_<class>``, ``miou_<network>``, ``step``. Empty without validation chips.
        miou: mIoU after the last step, 0 to 1, of the network that makes the map; None without validation
            chips.
        best_miou: the highest mIoU of all validations, 0 to 1; None without validation chips.
    """

    steps: int
    resumed_from: int
    seconds: float
    precision: str
    metrics: dict[str, float] = field(default_factory=dict)
    miou: float | None = None
    best_miou: float | None = None


def fit(
    module: SegmentationModule,
    datamodule: TsfDataModule,
    *,
    folder: Path,
    steps: int,
    train: TrainConfig,
    on_event: Emit | None = None,
    stop: threading.Event | None = None,
) -> FitResult:
    """Train to ``steps`` steps, from ``folder/resume.ckpt`` if that exists, else from the module's weights.

    A training that was stopped and resumed ends with the same bits as one that ran through.

    Args:
        module: the networks and losses; holds the last state afterwards.
        datamodule: the training stream and the validation chips.
        folder: of this training; receives ``resume.ckpt`` and ``logs/``.
        steps: length of this training in optimisation steps, those before a resumption included.
        train: devices, precision and intervals between validations and checkpoints.
        on_event: receives progress events and messages for the log; None: nobody listens.
        stop: when set, training saves a checkpoint before the next step and raises ``Cancelled``.

    Returns:
        The figures of the training.

    Raises:
        Cancelled: ``stop`` was set; another call resumes.
        ConfigError: ``train.accelerator`` asks for a GPU and there is none.
        UserError: the loss is NaN or infinite.
        WorkspaceError: the checkpoint is damaged or belongs to another network.
    """
    begun = time.monotonic()
    stop = stop or threading.Event()
    report: Emit = on_event or (lambda event: None)
    folder.mkdir(parents=True, exist_ok=True)
    resume = folder / RESUME_NAME
    start = int(_read(resume)["state_dict"]["step"]) if resume.exists() else 0
    precision, reason = choose_precision(train)
    report({"event": "log", "message": f"precision {precision}: {reason}"})
    module.begin(steps)
    module.train()
    if train.channels_last:
        module.to(memory_format=torch.channels_last)
    datamodule.start, datamodule.steps = start, steps
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        emit, stopped = report, stop.is_set
        strategy = choose_strategy(train, module)
        if "spawn" in strategy:
            bridge = stack.enter_context(ProcessBridge(report, stop))
            emit, stopped = bridge.emit, bridge.stopped
        val_every = train.val_every or max(1, math.ceil(steps / _VALIDATIONS))
        checkpoints = CheckpointCallback(
            folder, checkpoint_every=train.checkpoint_every, val_every=val_every, stopped=stopped
        )
        trainer = Trainer(
            precision=precision,  # type: ignore[arg-type]
            strategy=strategy,
            callbacks=[checkpoints, Progress(emit)],
            limit_val_batches=0 if datamodule.val is None else None,
            logger=_loggers(folder / "logs", start, report),
            default_root_dir=folder,
            **_trainer_options(train),
        )
        if start < steps:
            _run(trainer, module, datamodule, resume if resume.exists() else None, stop)
        _load(module, resume)
        if datamodule.val is not None and module.metrics.get("step") != steps:
            trainer.validate(module, datamodule, verbose=False)
    return _result(module, steps, start, time.monotonic() - begun, precision)


def warm_start(module: SegmentationModule, checkpoint: Path) -> None:
    """Load the weights and banks of an earlier round, but neither its step nor its optimisers.

    The presence bank starts empty where the number of unlabelled chips has changed, because its columns are
    chips. A refiner that the earlier round lacked starts untrained; one that this round lacks is dropped. The
    alignment takes its prior from today's labels.

    Args:
        module: a module of the same method and network; changed in place.
        checkpoint: ``resume.ckpt`` of the earlier round.

    Raises:
        WorkspaceError: the checkpoint is damaged or belongs to another network.
    """
    state = _read(checkpoint)["state_dict"]
    own = module.state_dict()
    for name in [n for n in state if n.endswith("presence.present") and state[n].shape != own[n].shape]:
        state[name] = own[name]
    required = {name: value for name, value in state.items() if not name.startswith(_OPTIONAL)}
    optional = {name: state.get(name, value) for name, value in own.items() if name.startswith(_OPTIONAL)}
    prior = {name: value for name, value in own.items() if name == _PRIOR}
    _fill(module, {**required, **optional, **prior}, checkpoint)
    module.begin(module.total_steps)


def choose_strategy(train: TrainConfig, module: SegmentationModule) -> str:
    """Name Lightning's strategy for these devices.

    Several devices need one process each. Lightning spawns them, unless a launcher (torchrun, Slurm) already
    started them.

    Args:
        train: devices, nodes and strategy.
        module: decides whether DDP has to search for parameters without a gradient.

    Returns:
        Lightning's name of the strategy, such as ``auto`` or ``ddp_spawn``.
    """
    gpus = torch.cuda.device_count() if uses_gpu(train) else 1
    devices = gpus if train.devices == "auto" else train.devices
    name = train.strategy
    if name == "auto":
        if devices * train.num_nodes == 1:
            return "auto"
        name = "ddp" if {"LOCAL_RANK", "SLURM_PROCID"} & os.environ.keys() else "ddp_spawn"
    if name in ("ddp", "ddp_spawn") and module.has_idle_parameters:
        return f"{name}_find_unused_parameters_true"
    return name


def _trainer_options(train: TrainConfig) -> dict[str, Any]:
    """The Trainer's arguments that depend on the configuration alone."""
    gpu = uses_gpu(train)
    return {
        "accelerator": train.accelerator,
        "devices": train.devices,
        "num_nodes": train.num_nodes,
        "max_epochs": 1,
        "benchmark": gpu,
        "sync_batchnorm": gpu and (train.devices == "auto" or train.devices * train.num_nodes > 1),
        "plugins": [AtomicCheckpoints()],
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "log_every_n_steps": 1,
    }


def _loggers(folder: Path, start: int, report: Emit) -> list[Logger]:
    """CSV always; TensorBoard where its package is installed, else one message in the life of the process."""
    loggers: list[Logger] = [CSVLogger(folder, name="", version=f"from-{start:06d}")]
    if find_spec("tensorboard") is not None:
        return [*loggers, TensorBoardLogger(folder, name="", version="tensorboard", purge_step=start)]
    if not _tensorboard_noted.is_set():
        _tensorboard_noted.set()
        message = (
            f"no TensorBoard event files, the package is not installed (metrics.csv in {folder} holds the "
            "same figures); for them run pip install 'tsfal-geo[tensorboard]'"
        )
        report({"event": "log", "message": message})
    return loggers


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
    except SystemExit as error:  # Lightning exits on SIGTERM and SIGINT where no other handler is installed
        raise Cancelled(f"stopped after step {module.steps_done} of {module.total_steps}") from error
    except ProcessRaisedException as error:
        if stop.is_set():
            raise Cancelled("stopped") from error
        raise
    except RuntimeError as error:
        if "Error(s) in loading state_dict" in str(error):
            raise WorkspaceError(f"{resume}: {_UNFIT}") from None
        raise


def _load(module: SegmentationModule, checkpoint: Path) -> None:
    """Load weights, step and metrics that spawned processes or an earlier call saved."""
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


def _result(module: SegmentationModule, steps: int, start: int, seconds: float, precision: str) -> FitResult:
    best = float(module.best_miou)
    return FitResult(
        steps=steps,
        resumed_from=start,
        seconds=seconds,
        precision=precision,
        metrics=dict(module.metrics),
        miou=module.metrics.get("miou"),
        best_miou=None if math.isnan(best) else best,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's banners and hints: they concern its programmers, not our users."""
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
