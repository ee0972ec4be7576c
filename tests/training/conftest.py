"""A little town on disk whose classes are colours, and modules that learn it in seconds."""

import threading

import numpy as np
import pytest
import rasterio
from affine import Affine

import tsfal_geo.training.methods.build  # noqa: F401  # fills the register
from tests.helpers.tiny_network import TinyNetwork
from tsfal_geo.classes import ClassInfo, ClassMap
from tsfal_geo.config import Config
from tsfal_geo.data.module import TsfDataModule
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.raster.chips import scene_chips
from tsfal_geo.raster.discovery import discover
from tsfal_geo.raster.label_reader import FolderLabels
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.raster.stats import compute_normalisation
from tsfal_geo.training.fit import fit
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import method_named
from tsfal_geo.training.supervised_branch import SupervisedBranch

CLASSES = ClassMap(
    (ClassInfo(0, "ground", (0, 0, 0)), ClassInfo(1, "roof", (255, 0, 0)), ClassInfo(2, "car", (0, 255, 0)))
)


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff",
        "height": array.shape[1],
        "width": array.shape[2],
        "count": array.shape[0],
        "dtype": array.dtype,
        "crs": "EPSG:25832",
        "transform": Affine(0.1, 0, 500_000, 0, -0.1, 5_400_000),
    }
    with rasterio.open(path, "w", **profile) as file:
        file.write(array)


@pytest.fixture(scope="session")
def town(tmp_path_factory):
    """A folder with one scene of 256×256 pixels: roofs in blocks of 32, cars of 8, and their labels."""
    folder = tmp_path_factory.mktemp("town")
    rng = np.random.default_rng(3)
    labels = (rng.random((8, 8)) < 0.4).astype(np.uint8).repeat(32, 0).repeat(32, 1)
    cars = (rng.random((32, 32)) < 0.06).repeat(8, 0).repeat(8, 1)
    labels[cars] = 2
    colours = np.array([[60, 160, 60], [190, 70, 60], [60, 60, 220]])
    image = colours[labels].transpose(2, 0, 1) + rng.normal(0, 12, (3, 256, 256))
    write(folder / "images" / "a.tif", image.clip(1, 255).astype(np.uint8))
    write(folder / "labels" / "a.tif", labels[None])
    return folder


@pytest.fixture
def make_config():
    def make(preset="strong", **sections):
        values = {
            "data": {"chip_size": 64},
            "train": {"steps": 6, "optimiser": "sgd", "lr": 0.02, "head_lr_mult": 1, "precision": "32-true",
                      "num_workers": 0, "accelerator": "cpu", "checkpoint_every": 100},
            "tsf": {"warmup_steps": 0},
        }  # fmt: skip
        for name, section in sections.items():
            values[name] = {**values.get(name, {}), **section}
        return Config.model_validate({"preset": preset, **values})

    return make


@pytest.fixture
def make_data(town):
    def make(config, labelled=4, unlabelled=8, held_out=0, manual=None, val=2):
        scenes = discover(town)
        chips = scene_chips(scenes, config.data.chip_size, "shift")
        reader, labels = SceneReader(scenes, None, False), FolderLabels(scenes, CLASSES)
        first, second = labelled + unlabelled, labelled + unlabelled + held_out
        return TsfDataModule(
            reader,
            labels,
            chips[:labelled],
            chips[labelled:first],
            chips[first:second],
            manual=manual,
            val_labels=labels,
            val_chips=chips[len(chips) - val :],
            config=config.train,
        )

    return make


@pytest.fixture
def make_module(make_data):
    def make(config, data=None, refiner=None):
        data = data or make_data(config)
        statistics = compute_normalisation(data.labelled.reader, data.labelled.chips)
        normaliser = Normaliser(statistics)
        branch = SupervisedBranch(config, normaliser, data, (40_000, 20_000, 3_000))
        inputs = ModuleInputs(
            class_counts=(40_000, 20_000, 3_000),
            config=config,
            normaliser=normaliser,
            class_names=CLASSES.names,
            branch=branch,
            network=lambda number: TinyNetwork(seed=1 + number),
            bands=3,
            unlabelled_chips=len(data.unlabelled.chips) if data.unlabelled else 0,
            refiner=refiner,
        )
        return method_named(config.train.method)(inputs)

    return make


@pytest.fixture
def batch_of():
    """One item of the training stream."""

    def read(data, step=0):
        return next(iter(data.train_dataloader())) if step == 0 else list(data.train_dataloader())[step]

    return read


@pytest.fixture
def run(make_module, make_data, tmp_path):
    """Train; returns the module, the result and the events."""

    def train(config, folder="run", steps=6, disturb=None, **data_options):
        data = make_data(config, **data_options)
        module = make_module(config, data)
        events, stop = [], threading.Event()
        if disturb:
            disturb(module, stop)
        where = tmp_path / folder
        result = fit(
            module, data, folder=where, steps=steps, train=config.train, on_event=events.append, stop=stop
        )
        return module, result, events

    return train
