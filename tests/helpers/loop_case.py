"""A tiny folder of scenes and a quiet reporter, for tests of the round loop."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

from tsfal_geo.config import Config, load_config

CLASSES = [
    {"id": 3, "name": "dark", "colour": [10, 10, 10]},
    {"id": 7, "name": "middle", "colour": [90, 200, 30]},
    {"id": 9, "name": "bright", "colour": [250, 250, 250]},
]
IDS = np.array([3, 7, 9], np.uint8)


class QuietReporter:
    """Collects what the loop says; can ask it to stop after some events."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop = threading.Event()
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.results: list[dict[str, Any]] = []
        self._left = stop_after

    def event(self, event: dict[str, Any]) -> None:
        if event.get("event") == "progress" and self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self.stop.set()

    def progress(self, fraction: float, stage: str) -> None:
        self.event({"event": "progress", "fraction": fraction, "stage": stage})

    def say(self, text: str) -> None:
        self.lines.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def artefact(self, kind: str, path: Path) -> None:
        self.lines.append(f"{kind} {path}")

    def result(self, values: dict[str, Any]) -> None:
        self.results.append(values)

    def log_to(self, runs: Path) -> None:
        pass


def write_scenes(folder: Path, *, labels: bool = True, shape: tuple[int, int] = (160, 200)) -> Path:
    """Two scenes of blobs; the second is rotated and has a strip of nodata."""
    rng = np.random.default_rng(0)
    grids = (
        Affine(0.5, 0, 500000.25, 0, -0.5, 5400000.75),
        Affine(0.4, 0.1, 600000, 0.1, -0.4, 5500000),
    )
    for number, transform in enumerate(grids):
        coarse = rng.integers(0, 3, (-(-shape[0] // 40), -(-shape[1] // 40)))
        truth = coarse.repeat(40, 0).repeat(40, 1)[: shape[0], : shape[1]]
        image = (truth * 80 + 30 + rng.normal(0, 25, (2, *shape))).clip(1, 255).astype(np.uint8)
        if number:
            image[:, :, :20] = 0
        profile = {
            "driver": "GTiff",
            "height": shape[0],
            "width": shape[1],
            "crs": "EPSG:25832",
            "transform": transform,
            "dtype": "uint8",
        }
        _write(folder / "images" / f"s{number}.tif", image, {**profile, "nodata": 0})
        if labels:
            _write(folder / "labels" / f"s{number}.tif", IDS[truth][None], profile)
    return folder


def tiny_config(**overrides: Any) -> Config:
    """Seconds a round: 64-pixel chips, the smallest encoder, three steps."""
    values: dict[str, Any] = {
        "classes": CLASSES,
        "data.chip_size": 64,
        "data.labelled": 0.3,
        "model.encoder": "tu-mobilenetv2_035",
        "model.weights": None,
        "model.decoder_convs": 1,
        "train.steps": 3,
        "train.accelerator": "cpu",
        "train.precision": "32-true",
        "train.optimiser": "sgd",
        "train.lr": 0.01,
        "tsf.warmup_steps": 0,
        "active.min_region": 16,
        "active.max_region": 256,
        "active.rounds": 2,
    }
    values.update({key.replace("__", "."): value for key, value in overrides.items()})
    return load_config(None, values)


def _write(path: Path, array: np.ndarray, profile: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", count=len(array), **profile) as dataset:
        dataset.write(array)
