"""Keeping a process small, and telling when it is too large."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

import torch

from tsfal_geo.models.precision import cpu_bf16


@dataclass(frozen=True)
class Compute:
    """Where and how a network runs.

    Attributes:
        device: CPU or GPU.
        dtype: type that autocast uses; None for float32.
    """

    device: torch.device
    dtype: torch.dtype | None

    @property
    def folds(self) -> bool:
        """Whether networks run with batch norms folded into their convolutions: on a CPU."""
        return self.device.type == "cpu"


def choose_compute() -> Compute:
    """The GPU if there is one, and half precision where it is faster than float32."""
    if torch.cuda.is_available():
        return Compute(
            torch.device("cuda"), torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
        )
    return Compute(torch.device("cpu"), torch.bfloat16 if cpu_bf16()[0] else None)


_ARENA_MAX = -8
_ARENAS = 2


def bound_arenas() -> None:
    """Let glibc use two arenas, as ``MALLOC_ARENA_MAX=2`` would; elsewhere nothing happens.

    Blocks of pixels go from thread to thread, and each thread's arena would keep what others freed.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, _ARENAS)


def out_of_memory(error: RuntimeError) -> bool:
    """Whether the device had not enough memory."""
    # On a CPU, PyTorch raises a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
