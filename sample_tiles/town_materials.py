"""What the synthetic town is made of: reflectance in near infrared, red and green, and its texture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Material:
    """Reflectance (NIR, R, G) in 0..1 and texture.

    `fine`, `middle`, `coarse` are the strengths of the noise at three scales; `hue` says how far the infrared
    wanders against the visible bands.
    """

    colour: tuple[float, float, float]
    fine: float = 0.05
    middle: float = 0.05
    coarse: float = 0.05
    pattern: str = ""
    hue: float = 0.02


MATERIALS = {
    "asphalt": Material((0.30, 0.285, 0.28), 0.06, 0.03, 0.05),
    "walk": Material((0.39, 0.37, 0.36), 0.05, 0.05, 0.06, "slabs"),
    "concrete": Material((0.42, 0.40, 0.38), 0.04, 0.06, 0.07, "slabs"),
    "pavers": Material((0.38, 0.32, 0.27), 0.08, 0.05, 0.06, "slabs"),
    "gravel": Material((0.43, 0.38, 0.34), 0.12, 0.06, 0.06),
    "paint": Material((0.62, 0.62, 0.62), 0.05, 0.1, 0.05),
    "tartan": Material((0.45, 0.30, 0.20), 0.03, 0.03, 0.04, "lanes"),
    "turf": Material((0.38, 0.20, 0.25), 0.04, 0.04, 0.04, "lanes", hue=0.03),
    "lawn": Material((0.56, 0.25, 0.26), 0.05, 0.06, 0.08, "mown", hue=0.13),
    "meadow": Material((0.50, 0.28, 0.27), 0.09, 0.13, 0.12, hue=0.2),
    "dry": Material((0.44, 0.33, 0.30), 0.07, 0.10, 0.12, hue=0.2),
    "soil": Material((0.36, 0.29, 0.24), 0.10, 0.08, 0.08, hue=0.08),
    "crops": Material((0.44, 0.26, 0.24), 0.09, 0.08, 0.06, "rows", hue=0.1),
    "mud": Material((0.40, 0.33, 0.28), 0.11, 0.13, 0.10, hue=0.08),
    "rubble": Material((0.43, 0.38, 0.35), 0.22, 0.12, 0.05),
    "water": Material((0.10, 0.17, 0.21), 0.03, 0.08, 0.10),
    "pool": Material((0.20, 0.40, 0.50), 0.04, 0.05, 0.02),
    "redtile": Material((0.42, 0.325, 0.25), 0.06, 0.05, 0.05, "tiles"),
    "browntile": Material((0.34, 0.26, 0.21), 0.06, 0.06, 0.06, "tiles"),
    "slate": Material((0.25, 0.24, 0.245), 0.05, 0.05, 0.05, "tiles"),
    "greytile": Material((0.33, 0.315, 0.31), 0.05, 0.05, 0.05, "tiles"),
    "bitumen": Material((0.29, 0.275, 0.27), 0.05, 0.06, 0.05),
    "gravelroof": Material((0.40, 0.37, 0.34), 0.10, 0.07, 0.06),
    "metal": Material((0.48, 0.48, 0.48), 0.02, 0.03, 0.05, "tiles"),
    "greenroof": Material((0.47, 0.28, 0.26), 0.09, 0.12, 0.10, hue=0.2),
    "broadleaf": Material((0.55, 0.23, 0.25), 0.12, 0.14, 0.05, hue=0.15),
    "pale": Material((0.62, 0.29, 0.30), 0.12, 0.13, 0.05, hue=0.15),
    "copper": Material((0.46, 0.24, 0.20), 0.12, 0.14, 0.05, hue=0.15),
    "bare": Material((0.36, 0.28, 0.26), 0.17, 0.14, 0.05, hue=0.2),
    "conifer": Material((0.40, 0.19, 0.21), 0.13, 0.12, 0.05, hue=0.12),
    "hedge": Material((0.50, 0.22, 0.23), 0.12, 0.10, 0.05, hue=0.12),
    "white": Material((0.70, 0.71, 0.72), 0.01, 0.02, 0.01),
    "silver": Material((0.46, 0.46, 0.47), 0.01, 0.02, 0.01),
    "grey": Material((0.29, 0.29, 0.30), 0.01, 0.02, 0.01),
    "black": Material((0.13, 0.13, 0.13), 0.01, 0.02, 0.01),
    "red": Material((0.52, 0.40, 0.15), 0.01, 0.02, 0.01),
    "blue": Material((0.33, 0.17, 0.24), 0.01, 0.02, 0.01),
    "green": Material((0.40, 0.19, 0.24), 0.01, 0.02, 0.01),
}

WEIGHTED_ROOFS = {
    "redtile": 0.36, "browntile": 0.16, "greytile": 0.16, "slate": 0.12, "bitumen": 0.08, "gravelroof": 0.05,
    "metal": 0.03, "greenroof": 0.04,
}  # fmt: skip
ROOFS = {"bitumen": 0.45, "gravelroof": 0.2, "greenroof": 0.15, "redtile": 0.2}
GARDENS = {"lawn": 0.45, "meadow": 0.3, "dry": 0.17, "soil": 0.08}
TREES = {"broadleaf": 0.5, "pale": 0.17, "conifer": 0.15, "copper": 0.08, "bare": 0.1}
CAR_COLOURS = {
    "white": 0.2,
    "silver": 0.23,
    "grey": 0.2,
    "black": 0.15,
    "red": 0.1,
    "blue": 0.08,
    "green": 0.04,
}


def pick(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """One name, drawn by weight."""
    names = list(weights)
    edges = np.cumsum(list(weights.values()))
    return names[int(np.searchsorted(edges, rng.random() * edges[-1]))]
