"""The hardware of a training: accelerator, arithmetic, and the bridge to processes on other devices."""

from __future__ import annotations

import queue
import threading
from types import TracebackType
from typing import Any, Self

import torch
import torch.multiprocessing

from tsfal_geo.config import TrainConfig
from tsfal_geo.errors import ConfigError
from tsfal_geo.models.precision import cpu_bf16
from tsfal_geo.training.callbacks import Emit

_POLL_SECONDS = 0.2


def uses_gpu(train: TrainConfig) -> bool:
    """Return True if training runs on CUDA devices.

    Args:
        train: the accelerator.

    Raises:
        ConfigError: the configuration asks for a GPU and there is none.
    """
    if train.accelerator == "gpu" and not torch.cuda.is_available():
        raise ConfigError("train.accelerator is gpu, but PyTorch finds no CUDA device; use auto or cpu")
    return train.accelerator != "cpu" and torch.cuda.is_available()


def choose_precision(train: TrainConfig) -> tuple[str, str]:
    """Choose the arithmetic for this machine.

    bfloat16 needs hardware: compute capability 8 on CUDA, and on CPUs the instructions that ``cpu_bf16``
    looks for.

    Args:
        train: precision and accelerator.

    Returns:
        Lightning's name of the precision, and the reason in a few words.

    Raises:
        ConfigError: the configuration asks for a GPU and there is none.
    """
    if train.precision != "auto":
        return train.precision, "as configured"
    if uses_gpu(train):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed", "the GPU computes bf16"
        return "32-true", "the GPU does not compute bf16"
    pays, reason = cpu_bf16()
    return "bf16-mixed" if pays else "32-true", reason


class ProcessBridge:
    """A context that carries events out of spawned processes and the stop signal into them.

    Attributes:
        emit: callable in any process; passes an event to ``on_event`` in the parent process.
        stopped: callable in any process; returns True once the parent's ``stop`` is set.
    """

    def __init__(self, on_event: Emit, stop: threading.Event) -> None:
        """Create the queue and the flag; the thread starts with the context.

        Args:
            on_event: called in the parent process, in a thread of the bridge.
            stop: the parent's stop signal.
        """
        context = torch.multiprocessing.get_context("spawn")
        self._on_event = on_event
        self._stop = stop
        self._queue = context.Queue()
        self._flag = context.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="process-bridge", daemon=True)
        self.emit: Emit = self._queue.put
        self.stopped = self._flag.is_set

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._queue.close()

    def _run(self) -> None:
        while True:
            if self._stop.is_set():
                self._flag.set()
            event: dict[str, Any]
            try:
                event = self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if self._over.is_set():
                    return
                continue
            self._on_event(event)
