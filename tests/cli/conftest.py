"""Workspaces that commands work on: one with queries and no model, one with a model and no queries."""

import json

import numpy as np
import pytest
import rasterio
from affine import Affine

from tests.helpers.command_cases import CLASSES, SIZES, square, write_scene
from tsfal_geo.classes import VAIHINGEN
from tsfal_geo.config import Config
from tsfal_geo.labels.model import Query
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.write import write_classes
from tsfal_geo.workspace.folder import WorkspaceFolder
from tsfal_geo.workspace.state import State


@pytest.fixture
def opened(tmp_path):
    """A workspace that waits for the answers to six queries."""
    folder = tmp_path / "data" / "images"
    folder.mkdir(parents=True)
    image = np.full((3, 60, 80), 100, np.uint8)
    image[:, :, :20] = 0
    profile = {"driver": "GTiff", "height": 60, "width": 80, "count": 3, "dtype": "uint8", "nodata": 0}
    transform = Affine(0.5, 0, 497_000, 0, -0.5, 5_419_000)
    profile |= {"crs": "EPSG:25832", "transform": transform}
    with rasterio.open(folder / "town.tif", "w", **profile) as dataset:
        dataset.write(image)
    state = State(
        tmp_path / "data", None, CLASSES, tuple(discover(tmp_path / "data")), round=0, status="waiting"
    )
    workspace = WorkspaceFolder.create(tmp_path / "ws", state, Config())
    scene = workspace.scenes[0]
    queries = [
        Query(f"q{n}", 0, "town", "r0c0", n, 1 / n, "unsure", 5, 100, square(scene, n * 7, 30))
        for n in range(1, 7)
    ]
    workspace.store().write_queries(0, queries)
    return workspace


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Scenes with labels in ``town``, and a workspace with an untrained network in ``ws``."""
    from tsfal_geo.models.io import ModelCard, save_model
    from tsfal_geo.models.segmenter import build_segmenter

    root = tmp_path_factory.mktemp("project")
    for name, size in SIZES.items():
        write_scene(root / "town" / "images" / f"{name}.tif", *size)
    for found in discover(root / "town"):
        labels = np.random.default_rng(1).choice([0, 1, 2, 3, 4, 5, 255], found.shape).astype(np.uint8)
        write_classes(root / "town" / "labels" / f"{found.name}.tif", found.grid, VAIHINGEN, labels)
    config = Config.model_validate(
        {"export": {"window": 64}, "model": {"encoder": "mobilenet_v2", "weights": None}}
    )
    scenes = tuple(discover(root / "town"))
    workspace = WorkspaceFolder.create(
        root / "ws", State(root / "town", None, VAIHINGEN, scenes, round=0, status="done"), config
    )
    statistics = {"low": [0] * 3, "high": [255] * 3, "mean": [127] * 3, "std": [74] * 3}
    card = ModelCard(
        model=config.model, in_channels=3, classes=VAIHINGEN.to_specs(), normalisation=statistics,
        bands=None, dsm=False, chip_size=128, seed=3,
    )  # fmt: skip
    save_model(workspace.round_dir(0), build_segmenter(config.model, 3, 6, 3), card)
    # No chip's labels are in use, so that maps are the network's alone.
    inputs = {"normalisation": statistics, "labelled_chips": [], "valid_pixels": [1, 1], "dsm": False}
    (root / "ws" / "inputs.json").write_text(json.dumps(inputs))
    return root
