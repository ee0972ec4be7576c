"""What every way to train is built of, and the register of the ways by name."""

from __future__ import annotations

from collections.abc import Callable

from tsfal_geo.errors import ConfigError
from tsfal_geo.training.module import SegmentationModule

METHODS: dict[str, type[SegmentationModule]] = {}


def register[M: type[SegmentationModule]](name: str) -> Callable[[M], M]:
    """Class decorator: make a way to train known by the name that ``train.method`` gives it."""

    def enter(module: M) -> M:
        METHODS[name] = module
        return module

    return enter


def method_named(name: str) -> type[SegmentationModule]:
    """The training module of a name.

    Raises:
        ConfigError: no method of that name.
    """
    if name not in METHODS:
        raise ConfigError(f"train.method: found '{name}', expected one of {', '.join(sorted(METHODS))}")
    return METHODS[name]
