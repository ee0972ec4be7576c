"""Which arithmetic pays on this machine."""

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


def uses_gpu(config: TrainConfig) -> bool:
    """Whether training runs on CUDA devices.

    Raises:
        ConfigError: a GPU is asked for and there is none.
    """
    if config.accelerator == "gpu" and not torch.cuda.is_available():
        raise ConfigError("train.accelerator is gpu, but PyTorch finds no CUDA device; use auto or cpu")
    return config.accelerator != "cpu" and torch.cuda.is_available()


def choose_precision(config: TrainConfig) -> tuple[str, str]:
    """Lightning's precision for this machine, and the reason in a few words.

    bf16 needs hardware: on CUDA compute capability 8, on CPUs what ``cpu_bf16`` says.
    """
    if config.precision != "auto":
        return config.precision, "as configured"
    if uses_gpu(config):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed", "the GPU computes bf16"
        return "32-true", "the GPU does not compute bf16"
    pays, reason = cpu_bf16()
    return "bf16-mixed" if pays else "32-true", reason


_POLL_SECONDS = 0.2


class ProcessBridge:
    """A context whose ``emit`` and ``stopped`` work in spawned processes as well.

    Attributes:
        emit: passes an event to ``on_event`` in the parent process.
        stopped: whether the parent's ``stop`` is set.
    """

    def __init__(self, on_event: Emit, stop: threading.Event) -> None:
        context = torch.multiprocessing.get_context("spawn")
        self._on_event = on_event
        self._stop = stop
        self._queue = context.Queue()
        self._flag = context.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
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
