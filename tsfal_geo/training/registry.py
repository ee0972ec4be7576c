"""The register of training methods by name."""

from __future__ import annotations

from collections.abc import Callable

from tsfal_geo.errors import ConfigError
from tsfal_geo.training.module import SegmentationModule

METHODS: dict[str, type[SegmentationModule]] = {}
"""Training modules by the value of ``train.method``; importing ``tsfal_geo.training.methods`` fills it."""


def register[M: type[SegmentationModule]](name: str) -> Callable[[M], M]:
    """Enter a training module in the register; a class decorator.

    Args:
        name: the value of ``train.method`` that selects the module.

    Returns:
        The decorator, which returns the class unchanged.
    """

    def enter(module: M) -> M:
        METHODS[name] = module
        return module

    return enter


def method_named(name: str) -> type[SegmentationModule]:
    """Return the training module of a name.

    Args:
        name: the value of ``train.method``.

    Raises:
        ConfigError: no method has that name.
    """
    if name not in METHODS:
        raise ConfigError(f"train.method: found '{name}', expected one of {', '.join(sorted(METHODS))}")
    return METHODS[name]
