"""Which arithmetic pays on this machine."""

from __future__ import annotations

from typing import Any, cast

import torch

from tsfal_geo.config import TrainConfig
from tsfal_geo.errors import ConfigError


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

    bf16 needs hardware: on CUDA compute capability 8, on CPUs AMX or AVX-512-BF16 (elsewhere it is emulated,
    and slower than float32).
    """
    if config.precision != "auto":
        return config.precision, "as configured"
    if uses_gpu(config):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed", "the GPU computes bf16"
        return "32-true", "the GPU does not compute bf16"
    features = cast(dict[str, Any], torch.cpu.get_capabilities())
    for name, title in (("amx_bf16", "AMX"), ("avx512_bf16", "AVX-512-BF16")):
        if features.get(name):
            return "bf16-mixed", f"the CPU has {title}"
    return "32-true", "the CPU has neither AMX nor AVX-512-BF16"
