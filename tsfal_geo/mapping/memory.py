"""Keeping a process small, and telling when it is too large."""

from __future__ import annotations

import ctypes
import sys

import torch

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
