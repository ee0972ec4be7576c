"""The device and the number type that networks compute in, and the limits of its memory."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

import torch

from tsfal_geo.models.precision import cpu_bf16

_ARENA_MAX = -8
"""``M_ARENA_MAX`` of glibc's ``malloc.h``."""
_ARENAS = 2


@dataclass(frozen=True)
class Compute:
    """Device and number type of a network.

    Attributes:
        device: CPU or GPU.
        dtype: floating type that autocast uses; None for float32.
    """

    device: torch.device
    dtype: torch.dtype | None

    @property
    def folds_norms(self) -> bool:
        """True where networks run with batch norms folded into their convolutions: on a CPU."""
        return self.device.type == "cpu"


def choose_compute() -> Compute:
    """Choose the GPU if there is one, and half precision where it is faster than float32.

    Returns:
        bfloat16 where the device computes in it natively, float16 on other GPUs, float32 on other CPUs.
    """
    if torch.cuda.is_available():
        return Compute(
            torch.device("cuda"), torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
        )
    return Compute(torch.device("cpu"), torch.bfloat16 if cpu_bf16()[0] else None)


def limit_arenas() -> None:
    """Let glibc use two arenas, as ``MALLOC_ARENA_MAX=2`` would; other platforms are left alone.

    One thread reads pixels, another predicts, a third writes. Memory that a thread frees returns to the arena
    of the thread that allocated it, so with an arena a thread the process would keep what nobody uses.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, _ARENAS)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Tell a lack of memory on the device from other errors.

    Args:
        error: raised by PyTorch.
    """
    # On a CPU, PyTorch raises a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
