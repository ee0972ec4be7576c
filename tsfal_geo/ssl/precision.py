"""Which arithmetic pays on this machine."""

from __future__ import annotations

import torch

from tsfal_geo.config import TrainConfig
from tsfal_geo.errors import ConfigError
from tsfal_geo.models.arithmetic import cpu_bf16


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
