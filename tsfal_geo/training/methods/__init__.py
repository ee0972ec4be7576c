"""The training methods, one module each; importing this package fills the register."""

from tsfal_geo.training.methods import (
    ael,
    cct,
    cps,
    cutmix,
    deal,
    gct,
    mean_teacher,
    ps_mt,
    s4al,
    supervised,
    tsf,
    u2pl,
    unimatch,
    unimatch_v2,
)
from tsfal_geo.training.registry import METHODS, method_named

__all__ = [
    "METHODS",
    "ael",
    "cct",
    "cps",
    "cutmix",
    "deal",
    "gct",
    "mean_teacher",
    "method_named",
    "ps_mt",
    "s4al",
    "supervised",
    "tsf",
    "u2pl",
    "unimatch",
    "unimatch_v2",
]
